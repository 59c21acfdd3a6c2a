// What the global setups of test runners share.
const { Server, start } = require('./index.cjs')

/** The server of a run: the one that CONTACTD_URL names, or a new one. Processes that are started later trust its authority. */
exports.setUp = async (tls) => {
  const url = process.env.CONTACTD_URL
  if (url) return new Server(url)
  const server = await start({ tls, flags: ['--handling', 'strict'] })
  if (tls) process.env.NODE_EXTRA_CA_CERTS = server.authority
  return server
}

/** Ends it. */
exports.tearDown = async (server) => {
  // The file goes away with the server.
  if (server.authority) delete process.env.NODE_EXTRA_CA_CERTS
  await server.stop()
}
