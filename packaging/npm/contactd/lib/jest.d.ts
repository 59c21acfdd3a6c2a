import type { User } from './index.js'

/** A user with a mailbox of the running test's own. */
export function contactd(): User
/** The same on a server of its own, whose clock is frozen and whose answers repeat. */
export function contactdClock(): Promise<User>
