/** phi of `M += sum_b phi(g_b)`. */
import type {Params} from '../table.js';

export const phi: Record<Params<'grad_moment'>['phi'], (g: number) => number> = {
  abs: Math.abs,
  square: (g) => g * g,
  identity: (g) => g,
};
