/** Stands in for addon.ts in browsers, where no C++ runs. */
import type {Addon, Outcome} from './addon.js';

export type {Addon, Outcome};

export function loadAddon(): {addon: Addon} | {missing: string} {
  return {missing: 'a browser runs no addon; the webgpu backend is the fast path here'};
}
