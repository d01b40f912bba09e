/** Asks Dawn for a GPU adapter and prints it as JSON; a program of its own, because a broken driver can end a process. */
import {create} from 'webgpu';

/** What {@link file://./doctor.ts} reads from stdout; `null` if there is no adapter. */
export interface GpuProbe {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  readonly features: readonly string[];
}

// Held until the end: Dawn aborts when the collector takes it while an adapter of it is in use.
const gpu = create([]);
const adapter = await gpu.requestAdapter({powerPreference: 'high-performance'});
const probe: GpuProbe | null = adapter && {
  vendor: adapter.info.vendor,
  architecture: adapter.info.architecture,
  description: adapter.info.description,
  features: [...adapter.features].sort(),
};
// Dawn's own threads would keep the process alive for a while.
process.stdout.write(JSON.stringify(probe), () => process.exit(0));
