import { defineConfig } from 'vitest/config'

// Over TLS, as Graph is: the official SDK sends no token otherwise.
export default defineConfig({ test: { globalSetup: 'contactd/vitest/setup-tls' } })
