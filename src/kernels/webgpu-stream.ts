/** Where kernels are encoded: Engram's own command stream, or somebody else's (tfjs', for one), in order with its work. */
export interface CommandStream {
  /** An open compute pass. Passes may be shared: every dispatch sees the writes of those before it. */
  pass(): GPUComputePassEncoder;
  /** The encoder with no pass open, for copies. */
  encoder(): GPUCommandEncoder;
  /** Called when a kernel has been encoded; a stream may submit here. */
  encoded(): void;
  /** Submits everything encoded so far; nothing if there is nothing. */
  submit(): void;
}

/** A stream of its own that submits after every kernel. */
export class OwnStream implements CommandStream {
  private commands: GPUCommandEncoder | undefined;
  protected open: GPUComputePassEncoder | undefined;

  constructor(protected readonly device: GPUDevice) {}

  pass(): GPUComputePassEncoder {
    this.commands ??= this.device.createCommandEncoder();
    this.open ??= this.commands.beginComputePass(this.passDescriptor());
    return this.open;
  }
  encoder(): GPUCommandEncoder {
    this.open?.end();
    this.open = undefined;
    this.commands ??= this.device.createCommandEncoder();
    return this.commands;
  }
  encoded(): void {
    this.submit();
  }
  /** How a pass begins. */
  protected passDescriptor(): GPUComputePassDescriptor {
    return {};
  }
  submit(): void {
    if (!this.commands) return;
    const commands = this.encoder().finish();
    this.commands = undefined;
    this.device.queue.submit([commands]);
  }
}
