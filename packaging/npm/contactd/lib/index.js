// Starts contactd, a stand-in for the contacts of Microsoft Graph, for tests.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'

const SERVE = ['serve', '--dev', '--listen', '127.0.0.1:0', '--database', ':memory:', '--stop-with-stdin']

// Headers that each version of a client chooses for itself.
const OF_CLIENTS = ['user-agent', 'accept', 'accept-encoding', 'accept-language', 'connection', 'sec-fetch-mode']

/** The path of the program. */
export function find() {
  if (process.env.CONTACTD_BIN) return process.env.CONTACTD_BIN
  const platform = `@contactd/${process.platform}-${process.arch}`
  try {
    return createRequire(import.meta.url).resolve(`${platform}/bin/contactd`)
  } catch {
    // It is an optional dependency, which some installations leave out.
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    // This package's own starter is a script, which would start itself.
    const found = join(folder, 'contactd')
    if (folder && existsSync(found) && readFileSync(found).subarray(0, 2).toString() !== '#!') return found
  }
  throw new Error(
    `contactd is not there: it was looked for in CONTACTD_BIN, in the package ${platform} (is it left out by ` +
      '--omit=optional, or by a lock file of another system?), and on PATH'
  )
}

/** Starts a server, which ends with this process, however that ends. */
export async function start({ flags = [], env = {} } = {}) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('CONTACTD_'))
  const child = spawn(find(), [...SERVE, ...flags], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...Object.fromEntries(own), ...env },
  })
  const said = []
  const url = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`contactd did not start: ${said.join('\n')}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      const ready = /^contactd listening on (\S+)/.exec(line)
      if (ready) resolve(ready[1])
      else said.push(line) > 100 && said.shift()
    })
  })
  // It does not keep this process alive.
  for (const part of [child, child.stdin, child.stderr]) part.unref?.()
  return new Server(url, child)
}

/** A server. */
export class Server {
  #child

  constructor(url, child) {
    this.url = url
    this.baseUrl = `${url}/v1.0`
    this.#child = child
  }

  /** A user, who needs no preparation. */
  user(name) {
    return new User(this, name)
  }

  /** A call to the control plane. */
  async control(method, path, body) {
    const answer = await fetch(`${this.url}/_contactd${path}`, { method, body: body && JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  reset(options = {}) {
    return this.control('POST', '/reset', options)
  }

  /** Stops the clock, which is the server's. */
  freeze(now, tick) {
    return this.control('PUT', '/clock', { mode: 'frozen', now, tick })
  }

  /** Moves a stopped clock on, and is done when what fell due is. */
  advance(by) {
    return this.control('POST', '/clock/advance', { by })
  }

  /** Ends the server, if `start` started it. */
  async stop() {
    if (!this.#child || this.#child.exitCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.ref()
    this.#child.stdin.end()
    await ended
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.stop()
  }
}

/** A user of a server, with a mailbox of their own. */
export class User {
  constructor(server, name) {
    Object.assign(this, { server, name, token: name, url: server.url, baseUrl: server.baseUrl })
    this.headers = { Authorization: `Bearer ${name}` }
  }

  /** Sends a request as this user, to a path below the version or to a link. */
  call(method, path, body, headers = {}) {
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const url = path.startsWith('http') ? path : this.baseUrl + path
    const options = { method, headers: { ...type, ...this.headers, ...headers } }
    return fetch(url, body === undefined ? options : { ...options, body: JSON.stringify(body) })
  }

  /** Puts a fault on this user's requests. */
  fault(fault) {
    return this.server.control('POST', '/faults', { ...fault, match: { user: this.name, ...fault.match } })
  }

  clearFaults() {
    return this.server.control('DELETE', `/faults?${new URLSearchParams({ user: this.name })}`)
  }

  /** This user's requests in the journal, the first 1,000 of them. */
  async requests(filters = {}) {
    const options = new URLSearchParams({ user: this.name, top: '1000', ...filters })
    return (await this.server.control('GET', `/requests?${options}`)).value
  }

  /** Fills this user's mailbox with what is in another one. */
  copyOf(template, { replace = false } = {}) {
    return this.server.control('POST', `/users/${encodeURIComponent(this.name)}/copy`, { from: template, replace })
  }

  /** This user's requests, without what is never the same twice, as text for a golden file. */
  async golden() {
    const entries = await this.requests()
    const lasting = entries.map(({ durationMicros, headers, ...entry }, place) => {
      const own = Object.entries(headers).filter(([name]) => !OF_CLIENTS.includes(name))
      return { ...entry, number: place + 1, headers: Object.fromEntries(own) }
    })
    const text = `${JSON.stringify(lasting, null, 1)}\n`
    return text.replaceAll(this.url, '{base}').replaceAll(this.url.split('://')[1], '{host}')
  }

  /** Compares this user's requests with a file; UPDATE_GOLDEN=1 writes it. */
  async assertGolden(path) {
    const text = await this.golden()
    if (process.env.UPDATE_GOLDEN === '1') return writeFileSync(path, text)
    if (!existsSync(path)) throw new Error(`${path} is not there: run the test once with UPDATE_GOLDEN=1`)
    if (readFileSync(path, 'utf8') !== text) throw new Error(`the requests are not those of ${path}; UPDATE_GOLDEN=1 rewrites it:\n${text}`)
  }
}

/** A user's name from a test's: its end tells tests apart. */
export function userName(test) {
  return test.replace(/[^A-Za-z0-9._-]+/g, '-').slice(-64).replace(/^[-._]+|[-._]+$/g, '')
}
