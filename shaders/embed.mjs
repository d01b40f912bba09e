// Embeds every shaders/*.wgsl into src/kernels/shaders.gen.ts, so that the engine needs no file system at run time.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';

const here = new URL('.', import.meta.url);
const names = readdirSync(here)
  .filter((file) => file.endsWith('.wgsl'))
  .map((file) => file.slice(0, -'.wgsl'.length))
  .sort();
const lines = names.map((name) => {
  const source = readFileSync(new URL(`${name}.wgsl`, here), 'utf8');
  return `  ${JSON.stringify(name)}: ${JSON.stringify(source)},`;
});
const target = new URL('../src/kernels/shaders.gen.ts', here);
const text = [
  '/** Made by shaders/embed.mjs from shaders/*.wgsl; not edited by hand, not in git. */',
  'export const shaders = {',
  ...lines,
  '} as const;',
  '',
  'export type ShaderName = keyof typeof shaders;',
  '',
].join('\n');
writeFileSync(target, text);
