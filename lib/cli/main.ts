#!/usr/bin/env node
/** The command `holdfast`. */
import { runCli } from './cli.js';

// `holdfast logs | head`: who reads no more has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2));
