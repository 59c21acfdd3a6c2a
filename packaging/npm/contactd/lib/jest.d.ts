import type { User } from './index.js'

/** A user who belongs to the running test only. */
export function contactd(): User
/** The same on a separate server, whose clock is stopped and whose responses are deterministic. */
export function contactdClock(): Promise<User>
