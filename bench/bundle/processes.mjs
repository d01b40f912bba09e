/** Processes of this same code with a time limit: one that hangs or dies costs its own part and no other. */
import {spawn} from 'node:child_process';
import {appendFileSync} from 'node:fs';

/**
 * @param args    for the code, `test NAME FILE` say
 * @param options {code: its file, env, limit: seconds, log: a file that gets what it prints, quiet: not on the screen}
 * @returns {Promise<{status: number|null, stdout: string, tail: string, timedOut: boolean, seconds: number}>}
 */
export function runCode(args, {code, env = process.env, limit, log, quiet = true}) {
  const start = performance.now();
  // A process group of its own, so that Python of the peers ends with it.
  const child = spawn(process.execPath, [code, ...args], {env, detached: true, stdio: ['ignore', 'pipe', 'pipe']});
  let stdout = '';
  let tail = '';
  let timedOut = false;
  const take = (text) => {
    tail = (tail + text).slice(-4000);
    if (log) appendFileSync(log, text);
    if (!quiet) process.stdout.write(text);
  };
  if (log) appendFileSync(log, `\n== ${args.join(' ')}\n`);
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    take(text);
  });
  child.stderr.setEncoding('utf8').on('data', take);
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, limit * 1000);
  process.once('exit', kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve({status, stdout, tail, timedOut, seconds: (performance.now() - start) / 1000});
    });
  });
}

/** How a process ended, when not by itself with success. */
export const endingOf = ({status, timedOut}, limit) =>
  timedOut ? `stopped after ${limit} s` : status === null ? 'killed by a signal' : `exit code ${status}`;
