/** `engram doctor`: what was found on this machine, and for everything missing what it costs and what to do. */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {type Addon, loadAddon} from '../kernels/addon.js';
import type {GpuProbe} from './probe-gpu.js';

/** One thing that was looked for. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or why nothing was. */
  readonly found: string;
  /** What to do if it is not ok. */
  readonly remedy?: string;
  /** The same as {@link found} for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
}

const require = createRequire(import.meta.url);
const NODE_NEEDED = [20, 19];
const SOFTWARE_GPU = '/usr/lib/chromium/vk_swiftshader_icd.json';
const PROBE_MS = 30_000;
/** Packages of tfjs, and what is lost without each. */
const PEERS = {
  '@tensorflow/tfjs-core': 'nothing works',
  '@tensorflow/tfjs-layers': 'no layers models and no gradients in Node, so no "engram demo"',
  '@tensorflow/tfjs-backend-cpu': 'no cpu and no native backend',
  '@tensorflow/tfjs-backend-webgpu': 'no webgpu backend',
  webgpu: 'no GPU in Node',
} as const;

/** Looks for everything that Engram can use. Never throws for something that is missing. */
async function examine(): Promise<Finding[]> {
  return [node(), ...packages(), ...addon(), await gpu()];
}

/** Prints the findings; as JSON for programs. */
export async function doctor({json}: {json?: boolean}): Promise<void> {
  const findings = await examine();
  const {version} = require('../../package.json') as {version: string};
  if (json) {
    console.log(JSON.stringify({engram: version, ok: findings.every(({ok}) => ok), findings}, null, 2));
    return;
  }
  console.log(`engram ${version}`);
  const wide = Math.max(...findings.map(({name}) => name.length));
  for (const {name, ok, found, remedy} of findings) {
    console.log(`${ok ? '✓' : '✗'} ${name.padEnd(wide)}  ${found}`);
    if (!ok && remedy) console.log(`  ${''.padEnd(wide)}  → ${remedy}`);
  }
}

function node(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return {
    name: 'Node',
    ok: major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1]),
    found: `${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores`,
    remedy: `Install Node ${NODE_NEEDED.join('.')} or newer.`,
    details: {version: process.version, platform: process.platform, arch: process.arch, cores: availableParallelism()},
  };
}

function packages(): Finding[] {
  return Object.entries(PEERS).map(([name, without]) => {
    try {
      const {version} = require(`${name}/package.json`) as {version: string};
      return {name, ok: true, found: version, details: {version}};
    } catch {
      return {name, ok: false, found: `not installed: ${without}`, remedy: `npm install ${name}`};
    }
  });
}

function addon(): Finding[] {
  const loaded = tryAddon();
  if ('missing' in loaded) {
    return [
      {
        name: 'C++ addon',
        ok: false,
        found: `${loaded.missing}; without it the CPU is many times slower`,
        remedy: 'Install a C++ compiler and CMake (Debian: apt-get install g++ cmake), then "npm run build:native".',
      },
    ];
  }
  const {addon} = loaded;
  const sets = {used: addon.instructionSet(), available: addon.instructionSets()};
  return [
    {name: 'C++ addon', ok: true, found: `loaded, ${addon.table.length} kernels`},
    {name: 'instruction set', ok: true, found: `${sets.used} (of ${sets.available.join(', ')})`, details: sets},
    {name: 'threads', ok: true, found: String(addon.threads()), details: {threads: addon.threads()}},
  ];
}

/** `ENGRAM_NATIVE=require` turns a missing addon into an exception; here it is a finding. */
function tryAddon(): {addon: Addon} | {missing: string} {
  try {
    return loadAddon();
  } catch (error) {
    return {missing: (error as Error).message};
  }
}

async function gpu(): Promise<Finding> {
  const name = 'GPU';
  const remedy = existsSync(SOFTWARE_GPU)
    ? `Install a Vulkan driver; for a GPU in software (slow, for tests) set VK_ICD_FILENAMES=${SOFTWARE_GPU}.`
    : "Install a Vulkan driver (Debian: mesa-vulkan-drivers, or the vendor's); for a GPU in software, chromium has one.";
  try {
    const file = fileURLToPath(new URL('./probe-gpu.js', import.meta.url));
    const {stdout} = await promisify(execFile)(process.execPath, [file], {timeout: PROBE_MS});
    const probe = JSON.parse(stdout) as GpuProbe | null;
    if (!probe) return {name, ok: false, found: 'no WebGPU adapter', remedy};
    const {vendor, architecture, description, features} = probe;
    const found = `${[vendor, architecture].filter(Boolean).join(' ')} (${description}); ${features.join(', ')}`;
    return {name, ok: true, found, details: {...probe}};
  } catch (error) {
    const {code, killed, signal, stderr} = error as {
      code?: unknown;
      killed?: boolean;
      signal?: string;
      stderr?: string;
    };
    if (stderr?.includes('ERR_MODULE_NOT_FOUND')) {
      return {name, ok: false, found: 'not looked for: the package webgpu is missing', remedy: 'npm install webgpu'};
    }
    const why = killed ? `no answer within ${PROBE_MS / 1000} s` : `the driver ended the process (${signal ?? code})`;
    return {name, ok: false, found: why, remedy: `Update the GPU driver. ${remedy}`};
  }
}
