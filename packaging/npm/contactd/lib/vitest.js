// Vitest's `test` with `contactd`: a user who belongs to the test only, with a separate mailbox.
import { test as base, inject } from 'vitest'
import { Server, start, userName } from './index.js'

export * from 'vitest'

const testUserName = (task) => userName(`${task.file.name}-${task.suite?.name ?? ''}-${task.name}`)

export const test = base.extend({
  contactd: async ({ task }, use) => {
    const { url, certDir } = inject('contactd')
    const user = new Server(url, { certDir }).user(testUserName(task))
    await use(user)
    // Faults are removed even if the test failed.
    await user.clearFaults()
  },
  // On a separate server with deterministic responses, because a server has one clock.
  contactdClock: async ({ task }, use) => {
    const { url, certDir } = inject('contactd')
    const flags = ['--handling', 'strict', '--deterministic', '1']
    const server = await start({ flags, tls: url.startsWith('https:'), certDir })
    await use(server.user(testUserName(task)))
    await server.stop()
  },
})
export const it = test
