/** Bind groups, kept by the ranges they bind: training meets the same ones at every step. */
import type {Layout} from './webgpu-pipelines.js';

/** `length` elements of a GPU buffer. */
export interface GpuRange {
  readonly buffer: GPUBuffer;
  readonly length: number;
  /** The element where they begin, a multiple of 64; default 0. */
  readonly offset?: number;
}

const mostKept = 1024;

export class BindGroups {
  private readonly kept = new Map<string, GPUBindGroup>();
  private readonly bufferIds = new WeakMap<GPUBuffer, number>();
  private nextBufferId = 0;

  constructor(private readonly device: GPUDevice) {}

  of({key: layoutKey, layout}: Layout, ranges: readonly GpuRange[]): GPUBindGroup {
    let key = layoutKey;
    for (const {buffer, length, offset = 0} of ranges) key += `,${this.idOf(buffer)}:${length}:${offset}`;
    let group = this.kept.get(key);
    if (!group) {
      group = this.device.createBindGroup({
        layout,
        entries: ranges.map(({buffer, length, offset = 0}, binding) => ({
          binding,
          resource: {buffer, offset: 4 * offset, size: 4 * length},
        })),
      });
      // A bind group keeps its buffers alive: the oldest goes first.
      if (this.kept.size >= mostKept) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(key, group);
    }
    return group;
  }

  clear(): void {
    this.kept.clear();
  }

  private idOf(buffer: GPUBuffer): number {
    let id = this.bufferIds.get(buffer);
    if (id === undefined) {
      id = this.nextBufferId++;
      this.bufferIds.set(buffer, id);
    }
    return id;
  }
}
