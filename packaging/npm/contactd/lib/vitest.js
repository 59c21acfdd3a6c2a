// Vitest's `test` with `contactd`: a user with a mailbox of the test's own.
import { test as base, inject } from 'vitest'
import { Server, start, userName } from './index.js'

export * from 'vitest'

const name = (task) => userName(`${task.file.name}-${task.suite?.name ?? ''}-${task.name}`)

export const test = base.extend({
  contactd: async ({ task }, use) => {
    const { url, certDir } = inject('contactd')
    const user = new Server(url, { certDir }).user(name(task))
    await use(user)
    // A test that failed leaves no fault behind.
    await user.clearFaults()
  },
  // On a server of its own, since the clock is the server's, and with answers that repeat.
  contactdClock: async ({ task }, use) => {
    const { url, certDir } = inject('contactd')
    const flags = ['--handling', 'strict', '--deterministic', '1']
    const server = await start({ flags, tls: url.startsWith('https:'), certDir })
    await use(server.user(name(task)))
    await server.stop()
  },
})
export const it = test
