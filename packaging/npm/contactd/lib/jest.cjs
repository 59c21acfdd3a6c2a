// For Jest: `contactd()` returns a user who belongs to the running test only, with a separate mailbox.
const { Server, start, userName } = require('./index.cjs')
const { afterEach, expect } = globalThis

const USAGE = 'contactd/jest works only in tests of Jest, with `globalSetup: "contactd/jest/setup"`'
let users = []
let servers = []

const testUserName = () => {
  const { currentTestName, testPath } = expect.getState()
  return userName(`${testPath.split(/[\\/]/).at(-1)}-${currentTestName}`)
}
const sharedServer = () => {
  if (!process.env.CONTACTD_JEST) throw new Error(USAGE)
  return JSON.parse(process.env.CONTACTD_JEST)
}

/** A user who belongs to the running test only. */
exports.contactd = () => {
  const { url, certDir } = sharedServer()
  const user = new Server(url, { certDir }).user(testUserName())
  users.push(user)
  return user
}

/** The same on a separate server with deterministic responses, because a server has one clock. */
exports.contactdClock = async () => {
  const { url, certDir } = sharedServer()
  const flags = ['--handling', 'strict', '--deterministic', '1']
  const server = await start({ flags, tls: url.startsWith('https:'), certDir })
  servers.push(server)
  return server.user(testUserName())
}

if (!afterEach) throw new Error(USAGE)
// Faults and servers are removed even if the test failed.
afterEach(async () => {
  const cleanups = [...users.map((user) => user.clearFaults()), ...servers.map((server) => server.stop())]
  users = []
  servers = []
  await Promise.all(cleanups)
})
