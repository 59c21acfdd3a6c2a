import type { TestAPI } from 'vitest'
import type { User } from './index.js'

export * from 'vitest'
export const test: TestAPI<{ contactd: User; contactdClock: User }>
export const it: typeof test
