// globalSetup of Vitest: one server for all tests.
import { start } from './index.js'

export default async function setup({ provide }) {
  const server = await start({ flags: ['--handling', 'strict'] })
  provide('contactdUrl', server.url)
  return () => server.stop()
}
