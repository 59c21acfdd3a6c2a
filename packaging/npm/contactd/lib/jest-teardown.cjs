// globalTeardown of Jest.
const { tearDown } = require('./setup.cjs')

module.exports = () => globalThis.__contactd && tearDown(globalThis.__contactd)
