// Starts contactd, a replacement for the contacts of Microsoft Graph in tests. index.js is the same for `import`.
const { spawn } = require('node:child_process')
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const https = require('node:https')
const { tmpdir } = require('node:os')
const { delimiter, join } = require('node:path')
const { createInterface } = require('node:readline')

const SERVE = ['serve', '--dev', '--listen', '127.0.0.1:0', '--database', ':memory:', '--stop-with-stdin']

// Headers that differ between versions of a client.
const CLIENT_HEADERS = [
  'user-agent', 'accept', 'accept-encoding', 'accept-language', 'connection', 'sec-fetch-mode', 'client-request-id', 'sdkversion',
]

/** The path of the program. */
function find() {
  if (process.env.CONTACTD_BIN) return process.env.CONTACTD_BIN
  const platform = `@contactd/${process.platform}-${process.arch}`
  try {
    return require.resolve(`${platform}/bin/contactd`)
  } catch {
    // It is an optional dependency, which some installations leave out.
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    // This package's own launcher is a script, which would start itself.
    const found = join(folder, 'contactd')
    if (folder && existsSync(found) && readFileSync(found).subarray(0, 2).toString() !== '#!') return found
  }
  throw new Error(
    `contactd was not found in CONTACTD_BIN, in the package ${platform} (was the package left out by --omit=optional, or by a ` +
      'lock file of another system?), or on PATH'
  )
}

/**
 * Starts a server, which stops when this process ends, however it ends. With `tls` it serves TLS, and `authority` of the server is
 * the file that clients must trust: set NODE_EXTRA_CA_CERTS to it for processes that start later. `certDir` is the folder of its
 * certificate.
 */
async function start({ flags = [], env = {}, tls = false, certDir } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('CONTACTD_'))
  const temporaryDir = tls && !certDir ? mkdtempSync(join(tmpdir(), 'contactd-cert-')) : undefined
  const serverCertDir = certDir ?? temporaryDir
  const child = spawn(find(), [...SERVE, ...(tls ? ['--tls', '--dev-cert-dir', serverCertDir] : []), ...flags], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...Object.fromEntries(inherited), ...env },
  })
  if (temporaryDir) child.on('exit', () => rmSync(temporaryDir, { recursive: true, force: true }))
  const output = []
  const url = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`contactd did not start: ${output.join('\n')}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      const ready = /^contactd listening on (\S+)/.exec(line)
      if (ready) resolve(ready[1])
      else if (output.push(line) > 100) output.shift()
    })
  })
  // The server does not keep this process alive.
  for (const part of [child, child.stdin, child.stderr]) part.unref?.()
  return new Server(url, { child, certDir: tls ? serverCertDir : undefined })
}

/** A request to the control plane. It trusts the server's own authority, whatever this process trusts. */
function send(method, url, body, ca) {
  const { request } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, ca, agent: false, headers: body ? { 'content-type': 'application/json' } : {} }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** A server. */
class Server {
  #child

  constructor(url, { child, certDir } = {}) {
    this.url = url
    this.baseUrl = `${url}/v1.0`
    this.certDir = certDir
    this.authority = certDir && join(certDir, 'dev-ca.pem')
    this.#child = child
  }

  /** A user, who need not exist before. */
  user(name) {
    return new User(this, name)
  }

  /** A call to the control plane. */
  async control(method, path, body) {
    const ca = this.authority && readFileSync(this.authority)
    const { status, text } = await send(method, `${this.url}/_contactd${path}`, body && JSON.stringify(body), ca)
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  reset(options = {}) {
    return this.control('POST', '/reset', options)
  }

  /** Creates users with folders, contacts and categories; the format is in docs/testing.md. Returns their ids. */
  async seed(document) {
    return (await this.control('POST', '/seed', document)).users
  }

  /** Stops the clock of the server. */
  freeze(now, tick) {
    return this.control('PUT', '/clock', { mode: 'frozen', now, tick })
  }

  /** Advances a stopped clock. The promise resolves when everything that became due is done. */
  advance(by) {
    return this.control('POST', '/clock/advance', { by })
  }

  /** The promise resolves when every due notification was sent or has failed once. */
  settle() {
    return this.control('POST', '/settle')
  }

  /** A receiver of notifications inside the server. `url` is the notificationUrl for a subscription. */
  async inbox(name, options = {}) {
    const { notificationUrl } = await this.control('POST', `/inboxes/${encodeURIComponent(name)}`, options)
    return new Inbox(this, name, notificationUrl)
  }

  /** Stops the server, if `start` started it. */
  async stop() {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.ref()
    this.#child.stdin.end()
    await ended
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.stop()
  }
}

/** A receiver of notifications. */
class Inbox {
  constructor(server, name, url) {
    Object.assign(this, { server, name, url, path: `/inboxes/${encodeURIComponent(name)}` })
  }

  /** The received notifications, after all due ones were sent. */
  async posts() {
    await this.server.settle()
    return (await this.server.control('GET', this.path)).value
  }

  /** Sets its responses from now on. */
  async answers(options) {
    await this.server.control('POST', this.path, options)
  }

  async clear() {
    await this.server.control('DELETE', this.path)
  }
}

/** A user of a server, with a separate mailbox. */
class User {
  constructor(server, name) {
    Object.assign(this, { server, name, token: name, url: server.url, baseUrl: server.baseUrl })
    this.headers = { Authorization: `Bearer ${name}` }
  }

  /** Sends a request as this user, to a path below the API version or to a link. */
  call(method, path, body, headers = {}) {
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const url = path.startsWith('http') ? path : this.baseUrl + path
    const options = { method, headers: { ...type, ...this.headers, ...headers } }
    return fetch(url, body === undefined ? options : { ...options, body: JSON.stringify(body) })
  }

  /** Adds a fault to this user's requests. */
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

  /** Generates contacts in this user's mailbox. Returns their ids. */
  async seed(count, options = {}) {
    return (await this.server.control('POST', '/seed', { user: this.name, count, ...options })).users[0].contacts
  }

  /** Copies the contents of another mailbox into this user's mailbox. */
  copyOf(template, { replace = false } = {}) {
    return this.server.control('POST', `/users/${encodeURIComponent(this.name)}/copy`, { from: template, replace })
  }

  /** This user's requests without the values that change between runs, as text for a golden file. */
  async golden() {
    const entries = await this.requests()
    const stableEntries = entries.map(({ durationMicros, headers, answerHeaders, ...entry }, index) => {
      const withoutClientHeaders = (all) => Object.fromEntries(Object.entries(all).filter(([name]) => !CLIENT_HEADERS.includes(name)))
      return { ...entry, number: index + 1, headers: withoutClientHeaders(headers), answerHeaders: withoutClientHeaders(answerHeaders) }
    })
    const text = `${JSON.stringify(stableEntries, null, 1)}\n`
    return text.replaceAll(this.url, '{base}').replaceAll(this.url.split('://')[1], '{host}')
  }

  /** Compares this user's requests with a file; UPDATE_GOLDEN=1 writes it. */
  async assertGolden(path) {
    const text = await this.golden()
    if (process.env.UPDATE_GOLDEN === '1') return writeFileSync(path, text)
    if (!existsSync(path)) throw new Error(`${path} does not exist: run the test once with UPDATE_GOLDEN=1`)
    if (readFileSync(path, 'utf8') !== text) throw new Error(`the requests differ from ${path}; UPDATE_GOLDEN=1 rewrites it:\n${text}`)
  }
}

/** The user name for a test: the end of the test's name, which is unique. */
function userName(testName) {
  return testName.replace(/[^A-Za-z0-9._-]+/g, '-').slice(-64).replace(/^[-._]+|[-._]+$/g, '')
}

exports.find = find
exports.start = start
exports.Server = Server
exports.Inbox = Inbox
exports.User = User
exports.userName = userName
