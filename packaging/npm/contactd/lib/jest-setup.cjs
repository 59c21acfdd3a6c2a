// globalSetup of Jest: one server for all tests; jest-teardown.cjs stops it.
const { setUp } = require('./setup.cjs')

module.exports = async () => {
  const server = await setUp(false)
  globalThis.__contactd = server
  process.env.CONTACTD_JEST = JSON.stringify({ url: server.url, certDir: server.certDir })
}
