#!/usr/bin/env node
// Runs the program in the package of this platform, and passes on signals and the exit status.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { find } from '../lib/index.js'

const child = spawn(find(), process.argv.slice(2), { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`contactd: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
