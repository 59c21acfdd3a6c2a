import { defineConfig } from 'vitest/config'

// With TLS, because the official SDK sends no token without it.
export default defineConfig({ test: { globalSetup: 'contactd/vitest/setup-tls' } })
