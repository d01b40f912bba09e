/**
 * The kernel table: the one place that names kernels, their parameters and their buffers.
 *
 * A row has three bodies of the same name: `shaders/NAME.wgsl`, `native/kernels/NAME.h` and
 * `src/kernels/reference/NAME.ts`. From the row come the bind groups and override constants of the WGSL, the argument
 * checks of the addon (`native/kernel_table.h` is generated from here), the parity test, the benchmark and the README's
 * table. Letters are those of the design: b of B sample, l of L position, p of P fan-in, q of Q fan-out.
 */

/** A whole number known when the kernel is built: baked into the WGSL as an `override` constant. */
interface SizeParam {
  readonly kind: 'size';
  readonly unit: string;
}
/** One of several named variants; travels as its index. */
interface ChoiceParam {
  readonly kind: 'choice';
  readonly values: readonly string[];
}
/** A 32-bit float that may change at every call: a uniform in the WGSL. */
interface ScalarParam {
  readonly kind: 'scalar';
  readonly unit: string;
}
export type ParamSpec = SizeParam | ChoiceParam | ScalarParam;

/**
 * - `read`: an input, never written.
 * - `read_write`: memory that Engram allocated and never showed to anyone; updated in place.
 * - `write`: a fresh output, every element of which the kernel writes.
 */
export type Access = 'read' | 'read_write' | 'write';

export interface BufferSpec {
  readonly access: Access;
  /** `i32` are indices: inputs only, and a kernel checks each against its range. */
  readonly dtype: 'f32' | 'u32' | 'i32';
  /** Length in elements: the product of these parameters (the empty product is 1). */
  readonly length: readonly string[];
}

/** A row of {@link table}: what a kernel does, its parameters and its buffers. */
export interface KernelSpec {
  readonly does: string;
  readonly params: Readonly<Record<string, ParamSpec>>;
  readonly buffers: Readonly<Record<string, BufferSpec>>;
  /** Arithmetic operations of a call, for the benchmark. */
  readonly flops: (size: Readonly<Record<string, number>>) => number;
}

const size = (unit: string): SizeParam => ({kind: 'size', unit});
const scalar = (unit: string): ScalarParam => ({kind: 'scalar', unit});
const choice = <const V extends readonly string[]>(...values: V) => ({kind: 'choice', values}) as const;
const f32 = <A extends Access>(access: A, ...length: string[]) => ({access, dtype: 'f32', length}) as const;
const i32 = (...length: string[]) => ({access: 'read', dtype: 'i32', length}) as const;
const u32 = <A extends Access>(access: A, ...length: string[]) => ({access, dtype: 'u32', length}) as const;

/** phi of `M += sum_b phi(g_b)`: |g| for MAS, g squared for Fisher information (EWC), g for the ordinary gradient. */
const phi = choice('abs', 'square', 'identity');

/** All kernels, by name. */
export const table = {
  grad_moment: {
    does: 'M += Σ_b φ(Σ_l A·D); A gathered as patches of a 3-D convolution; depth 1 for 2-D, also height 1 for 1-D and rows',
    params: {
      phi,
      samples: size('samples'),
      uses: size('uses of the weight, laid along l'),
      inDepth: size('pixels'),
      inHeight: size('pixels'),
      inWidth: size('pixels'),
      inChannels: size('channels'),
      filterDepth: size('pixels'),
      filterHeight: size('pixels'),
      filterWidth: size('pixels'),
      outDepth: size('pixels'),
      outHeight: size('pixels'),
      outWidth: size('pixels'),
      fanOut: size('channels'),
      strideDepth: size('pixels'),
      strideHeight: size('pixels'),
      strideWidth: size('pixels'),
      dilationDepth: size('pixels'),
      dilationHeight: size('pixels'),
      dilationWidth: size('pixels'),
      padFront: size('pixels'),
      padTop: size('pixels'),
      padLeft: size('pixels'),
    },
    buffers: {
      activations: f32('read', 'samples', 'uses', 'inDepth', 'inHeight', 'inWidth', 'inChannels'),
      deltas: f32('read', 'samples', 'uses', 'outDepth', 'outHeight', 'outWidth', 'fanOut'),
      moment: f32('read_write', 'filterDepth', 'filterHeight', 'filterWidth', 'inChannels', 'fanOut'),
    },
    flops: (s) =>
      2 *
      (s.samples * s.uses * s.outDepth * s.outHeight * s.outWidth) *
      (s.filterDepth * s.filterHeight * s.filterWidth * s.inChannels * s.fanOut),
  },
  grad_moment_dense: {
    does: 'the L = 1 case: M += φ(A)ᵀ φ(D), one matrix product',
    params: {phi, samples: size('samples'), fanIn: size('features'), fanOut: size('units')},
    buffers: {
      activations: f32('read', 'samples', 'fanIn'),
      deltas: f32('read', 'samples', 'fanOut'),
      moment: f32('read_write', 'fanIn', 'fanOut'),
    },
    flops: (s) => 2 * s.samples * s.fanIn * s.fanOut,
  },
  grad_moment_sum: {
    does: 'bias and scale: M += Σ_b φ(Σ_l X·D); scaled = 0 means X = 1 and an empty activations buffer',
    params: {
      phi,
      samples: size('samples'),
      positions: size('positions'),
      fanOut: size('channels'),
      scaled: size('0 or 1'),
    },
    buffers: {
      activations: f32('read', 'samples', 'positions', 'fanOut', 'scaled'),
      deltas: f32('read', 'samples', 'positions', 'fanOut'),
      moment: f32('read_write', 'fanOut'),
    },
    flops: (s) => 2 * s.samples * s.positions * s.fanOut,
  },
  grad_moment_depthwise: {
    does: 'depthwise filters: M[·,c,m] += Σ_b φ(Σ_l A[·,c]·D[·,c,m]), A gathered as convolution patches',
    params: {
      phi,
      samples: size('samples'),
      uses: size('uses of the weight, laid along l'),
      inHeight: size('pixels'),
      inWidth: size('pixels'),
      inChannels: size('channels'),
      multiplier: size('output channels of each input channel'),
      filterHeight: size('pixels'),
      filterWidth: size('pixels'),
      outHeight: size('pixels'),
      outWidth: size('pixels'),
      strideHeight: size('pixels'),
      strideWidth: size('pixels'),
      dilationHeight: size('pixels'),
      dilationWidth: size('pixels'),
      padTop: size('pixels'),
      padLeft: size('pixels'),
    },
    buffers: {
      activations: f32('read', 'samples', 'uses', 'inHeight', 'inWidth', 'inChannels'),
      deltas: f32('read', 'samples', 'uses', 'outHeight', 'outWidth', 'inChannels', 'multiplier'),
      moment: f32('read_write', 'filterHeight', 'filterWidth', 'inChannels', 'multiplier'),
    },
    flops: (s) =>
      2 * s.samples * s.uses * s.outHeight * s.outWidth * s.filterHeight * s.filterWidth * s.inChannels * s.multiplier,
  },
  grad_moment_gather: {
    does: 'embeddings: M[r] += Σ_b φ(Σ_l D[l] where id l is r); ids beyond the rows count nowhere',
    params: {
      phi,
      samples: size('samples'),
      positions: size('ids a sample'),
      rows: size('rows of the table'),
      fanOut: size('columns of the table'),
    },
    buffers: {
      ids: i32('samples', 'positions'),
      deltas: f32('read', 'samples', 'positions', 'fanOut'),
      moment: f32('read_write', 'rows', 'fanOut'),
    },
    flops: (s) => s.samples * s.positions * s.fanOut,
  },
  output_norm: {
    does: 's_b = ‖F(x_b)‖² and the seed of the backward pass, dS/dF = 2F',
    params: {samples: size('samples'), outputs: size('outputs')},
    buffers: {
      outputs: f32('read', 'samples', 'outputs'),
      norms: f32('write', 'samples'),
      seed: f32('write', 'samples', 'outputs'),
    },
    flops: (s) => 3 * s.samples * s.outputs,
  },
  count_nonfinite: {
    does: 'counts NaN and ±Infinity by their bits: GPU arithmetic may drop them',
    params: {size: size('elements')},
    buffers: {values: f32('read', 'size'), count: u32('read_write')},
    flops: (s) => s.size,
  },
  fold: {
    does: 'adds the batch sum to the compensated sum (hi, lo) and clears it',
    params: {size: size('parameters')},
    buffers: {batch: f32('read_write', 'size'), hi: f32('read_write', 'size'), lo: f32('read_write', 'size')},
    flops: (s) => 7 * s.size,
  },
  merge: {
    does: 'Ω ← a·Ω + b·Ω′, or max(a·Ω, b·Ω′)',
    params: {
      rule: choice('linear', 'max'),
      size: size('parameters'),
      storedWeight: scalar('a'),
      incomingWeight: scalar('b'),
    },
    buffers: {stored: f32('read', 'size'), incoming: f32('read', 'size'), merged: f32('write', 'size')},
    flops: (s) => 3 * s.size,
  },
  penalized_step: {
    does: 'one SGD, momentum, Adam or AdamW step with the Ω-weighted penalty inside, explicit or proximal',
    params: {
      rule: choice('sgd', 'momentum', 'adam'),
      penalty: choice('explicit', 'proximal'),
      size: size('parameters'),
      penalized: size('0 or 1'),
      slotCount: size('0 for sgd, 1 for momentum, 2 for adam'),
      nesterov: size('0 or 1'),
      learningRate: scalar('step per unit of gradient'),
      momentum: scalar('momentum'),
      beta1: scalar('decay of the first moment'),
      beta2: scalar('decay of the second moment'),
      epsilon: scalar('Adam epsilon'),
      correction1: scalar('1 - beta1^t'),
      correction2: scalar('1 - beta2^t'),
      weightDecay: scalar('share of theta that a step at learning rate 1 takes away'),
      lambda: scalar('penalty strength'),
    },
    buffers: {
      theta: f32('read', 'size'),
      gradient: f32('read', 'size'),
      importance: f32('read', 'size', 'penalized'),
      anchor: f32('read', 'size', 'penalized'),
      slots: f32('read_write', 'slotCount', 'size'),
      next: f32('write', 'size'),
    },
    flops: (s) => (5 + 6 * s.penalized + 5 * s.slotCount) * s.size,
  },
  penalty_value: {
    does: 'λ Σ Ω (θ - θ*)²',
    params: {size: size('parameters'), lambda: scalar('penalty strength')},
    buffers: {
      theta: f32('read', 'size'),
      importance: f32('read', 'size'),
      anchor: f32('read', 'size'),
      value: f32('write'),
    },
    flops: (s) => 4 * s.size,
  },
} as const satisfies Record<string, KernelSpec>;

export type KernelTable = typeof table;
/** Names of the kernels in {@link table}. */
export type KernelName = keyof KernelTable;
/** All names, in the order of the table. */
export const kernelNames = Object.keys(table) as KernelName[];

/** The arguments of a kernel: sizes and scalars as numbers, choices as their names. */
export type Params<K extends KernelName> = {
  [P in keyof KernelTable[K]['params']]: KernelTable[K]['params'][P] extends {
    kind: 'choice';
    values: readonly (infer V)[];
  }
    ? V
    : number;
};

/** The depth axis of `grad_moment` for rows and for 1-D and 2-D convolutions. */
export const flatDepth = {
  inDepth: 1,
  filterDepth: 1,
  outDepth: 1,
  strideDepth: 1,
  dilationDepth: 1,
  padFront: 0,
} as const satisfies Partial<Params<'grad_moment'>>;

/** Names of a kernel's buffers, all or those of one access. */
export type BufferName<K extends KernelName, A extends Access = Access> = {
  [B in keyof KernelTable[K]['buffers']]: KernelTable[K]['buffers'][B] extends {access: A} ? B : never;
}[keyof KernelTable[K]['buffers']] &
  string;

/** The row of a kernel, typed loosely for code that walks the table. */
export function row(kernel: KernelName): KernelSpec {
  return table[kernel];
}

const buffersByKernel = new Map(kernelNames.map((kernel) => [kernel, Object.entries(row(kernel).buffers)]));
const paramsByKernel = new Map(kernelNames.map((kernel) => [kernel, Object.entries(row(kernel).params)]));

/** Names and specifications of a kernel's buffers, in the row's order; made once, for code that runs at every call. */
export function buffersOf(kernel: KernelName): readonly (readonly [string, BufferSpec])[] {
  return buffersByKernel.get(kernel)!;
}

/** Names and specifications of a kernel's parameters, in the row's order. */
export function paramsOf(kernel: KernelName): readonly (readonly [string, ParamSpec])[] {
  return paramsByKernel.get(kernel)!;
}
