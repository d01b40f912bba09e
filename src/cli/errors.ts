/** How the command line says that something went wrong: one block that can be acted on, a stack trace only for DEBUG. */
import {EngramError} from '../errors.js';

/** Exit status of a program that was stopped by SIGINT, as shells expect it. */
export const INTERRUPTED = 130;

/**
 * Prints an error to stderr and returns the exit status: 1, or 130 if the user stopped the run.
 *
 * @param signal the run's; aborted only by Ctrl-C
 */
export function report(error: unknown, signal?: AbortSignal): number {
  if (signal?.aborted) {
    console.error('\nStopped.');
    return INTERRUPTED;
  }
  const known = error instanceof EngramError ? error : missingPackage(error);
  if (known) {
    console.error(
      `\nerror     ${known.code}\nexpected  ${known.expected}\ngot       ${known.received}\nremedy    ${known.remedy}`,
    );
  } else {
    console.error(`\nerror     ${error instanceof Error ? error.message : String(error)}`);
  }
  if (process.env.DEBUG) console.error(error);
  else if (!known) console.error('Set DEBUG=1 to see where.');
  return 1;
}

/** Node's error for an import that is not installed, told as what to install. */
function missingPackage(error: unknown): EngramError | undefined {
  const {code, message = ''} = error as {code?: string; message?: string};
  const name = /Cannot find package '([^']+)'/.exec(message)?.[1];
  if (code !== 'ERR_MODULE_NOT_FOUND' || !name) return undefined;
  return new EngramError('BACKEND', {
    expected: `the package ${name}, which this command needs`,
    received: 'no such package',
    remedy: `Run "npm install ${name}".`,
    cause: error,
  });
}
