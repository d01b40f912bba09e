/** How the numbers that methods take are checked. */
import {EngramError} from '../errors.js';

/** @throws EngramError ARGUMENT unless it is a finite number above 0 */
export function checkPositive(option: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return;
  refuse(`${option} to be a finite number above 0`, value);
}

/** @throws EngramError ARGUMENT unless it is a number above 0 and at most 1 */
export function checkShare(option: string, value: unknown): void {
  if (typeof value === 'number' && value > 0 && value <= 1) return;
  refuse(`${option} to be a number above 0 and at most 1`, value);
}

/** @throws EngramError ARGUMENT unless it is a finite number of at least 0 */
export function checkWeight(option: string, value: unknown, remedy?: string): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return;
  refuse(`${option} to be a finite number of at least 0`, value, remedy);
}

/** @throws EngramError ARGUMENT unless it is a finite number of at least 0 */
export function checkLambda(lambda: unknown): void {
  checkWeight('lambda', lambda, 'The paper uses 1; larger holds earlier tasks more firmly.');
}

/** @throws EngramError ARGUMENT unless it is a whole number of at least 1 */
export function checkCount(option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return;
  refuse(`${option} to be a whole number of at least 1`, value);
}

function refuse(
  expected: string,
  value: unknown,
  remedy = 'The description of the option says what it is for and what is usual.',
): never {
  throw new EngramError('ARGUMENT', {expected, received: String(value), remedy});
}
