#!/usr/bin/env node
/** `npm run bench:bundle`: one folder with all that an offline Linux machine with a GPU needs; run.sh in it runs all. */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, cpSync, createWriteStream, existsSync, mkdirSync, readdirSync, rmSync, statSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {pipeline} from 'node:stream/promises';
import {fileURLToPath} from 'node:url';
import {Command} from 'commander';
import {bundleCode, codeFile} from './code.mjs';
import {gpuTests, root} from './files.mjs';

const mostBytes = 60e6;
const platform = `linux-${process.arch}`;
const dawn = `node_modules/webgpu/dist/${platform}/dawn.node`;
/** Read by code at run time, beside the places that its modules have in the repository. */
const golden = ['importance', 'fisher', 'penalties', 'rivals'].map((name) => `test/golden/${name}.json`);
const read = ['native/build/Release/engram_native.node', 'shaders', ...golden];
const readByBench = /\.(wgsl|py)$/;
/** The Vulkan loader, and what NVIDIA's driver wants of X11 and the libraries of Mesa's dispatch. */
const libraries = {
  lib: ['libvulkan.so.1'],
  'lib/x11': [
    'libX11.so.6',
    'libXext.so.6',
    'libxcb.so.1',
    'libXau.so.6',
    'libXdmcp.so.6',
    'libbsd.so.0',
    'libmd.so.0',
    'libGLdispatch.so.0',
  ],
};

const program = new Command('bench:bundle')
  .description('make the folder that runs all GPU tests and benchmarks on an offline Linux machine')
  .option('--out <folder>', 'what is made; an earlier one is replaced', `${root}out/bundle/engram-gpu`)
  .parse();
const {out} = program.opts();

if (process.platform !== 'linux') program.error('the bundle is for Linux, and made there: it takes this Node along');
if (/libnode/.test(execFileSync('ldd', [process.execPath], {encoding: 'utf8'}))) {
  program.error(`${process.execPath} is not whole without libnode: use a Node of nodejs.org`);
}
for (const file of [...read, dawn])
  if (!existsSync(root + file)) program.error(`${file} is missing: npm install makes it`);

rmSync(out, {recursive: true, force: true});
const copy = (from, to) => {
  mkdirSync(dirname(to), {recursive: true});
  cpSync(from, to, {recursive: true, dereference: true});
};
const {outside} = await bundleCode(join(out, 'app'));
if (outside.length > 0) program.error(`not in the bundle, but imported: ${outside.join(', ')}`);
for (const file of read) copy(root + file, join(out, 'app', file));
for (const name of readdirSync(`${root}bench/gpu`).filter((name) => readByBench.test(name))) {
  copy(`${root}bench/gpu/${name}`, join(out, 'app/bench/gpu', name));
}
copyFileSync(fileURLToPath(new URL('run.sh', import.meta.url)), join(out, 'run.sh'));
copyLibraries();
mkdirSync(join(out, 'packed'));
await Promise.all([pack(process.execPath, 'node'), pack(root + dawn, `${platform}.dawn.node`)]);

const {carried, left} = gpuTests();
console.log(`${carried.length} test files`);
for (const [name, reason] of left) console.log(`not carried: ${name} ${reason}`);
const bytes = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytes(join(path, name)), 0)
    : statSync(path).size;
const megabytes = (count) => `${(count / 1e6).toFixed(1)} MB`;
for (const part of ['packed/node.xz', `packed/${platform}.dawn.node.xz`, `app/${codeFile}`, `app/${read[0]}`, 'lib']) {
  console.log(`${part}: ${megabytes(bytes(join(out, part)))}`);
}
const total = bytes(out);
console.log(`${out}: ${megabytes(total)}`);
if (total > mostBytes) program.error(`more than the ${megabytes(mostBytes)} that it may have`);

/** Compresses with xz, which run.sh undoes with xz or Python. */
async function pack(file, name) {
  const xz = spawn('xz', ['-9', '-c', file], {stdio: ['ignore', 'pipe', 'inherit']});
  const closed = once(xz, 'close');
  await pipeline(xz.stdout, createWriteStream(join(out, 'packed', `${name}.xz`)));
  const [status] = await closed;
  if (status !== 0) program.error(`xz ended with code ${status} on ${file}`);
}

/** The loader is needed; the others help on bare servers, and are taken where this machine has them. */
function copyLibraries() {
  const known = execFileSync('ldconfig', ['-p'], {
    encoding: 'utf8',
    env: {...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin`},
  });
  const abi = {x64: 'x86-64', arm64: 'AArch64'}[process.arch];
  for (const [folder, names] of Object.entries(libraries)) {
    for (const name of names) {
      const line = known.split('\n').find((text) => text.trim().startsWith(`${name} `) && text.includes(abi));
      if (line) copy(line.split(' => ')[1], join(out, folder, name));
      else if (folder === 'lib') program.error(`this machine has no ${name}: apt install libvulkan1`);
      else console.log(`left out, not on this machine: ${name}`);
    }
  }
}
