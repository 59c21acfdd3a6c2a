// Shared by the global setups of test runners.
const { Server, start } = require('./index.cjs')

/** The server of a run: the one at CONTACTD_URL, or a new one. Processes that start later trust its authority. */
exports.setUp = async (tls) => {
  const url = process.env.CONTACTD_URL
  if (url) return new Server(url)
  const server = await start({ tls, flags: ['--handling', 'strict'] })
  if (tls) process.env.NODE_EXTRA_CA_CERTS = server.authority
  return server
}

/** Stops the server. */
exports.tearDown = async (server) => {
  // The file is removed when the server stops.
  if (server.authority) delete process.env.NODE_EXTRA_CA_CERTS
  await server.stop()
}
