/** What run.sh starts: finds the GPU, runs tests and benchmarks in processes of their own, writes JSON and a summary. */
import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {availableParallelism, cpus, release, totalmem} from 'node:os';
import {dirname, join, resolve} from 'node:path';
import {Command, Option} from 'commander';
import {parts, wholeNumber} from '../gpu/options.mjs';
import {findGpu} from './environment.mjs';
import {runBench} from './host-bench.mjs';
import {runTests} from './host-tests.mjs';

const command = (folder) =>
  new Command('run.sh')
    .description("Engram's GPU tests, then its GPU benchmarks with PyTorch as peer, on this machine; results as JSON")
    .option('--tests', 'the tests alone')
    .option('--bench', 'the benchmarks alone')
    .option('--quick', 'small sizes for the benchmarks: shows that everything runs, measures nothing')
    .option('--full', 'also the tests that take long (ENGRAM_GPU_FULL=1)')
    .option('--only <text>', 'test files with this in their name')
    .addOption(
      new Option('--parts <names...>', 'parts of the benchmarks').choices(parts).default(parts, parts.join(' ')),
    )
    .option('--batch <n>', 'samples of a batch in the benchmarks', wholeNumber)
    .option('--autotune', 'measure tilings first in the benchmarks')
    .option('--limit <seconds>', 'for a test file or a part of the benchmarks', wholeNumber, 600)
    .option('--jobs <n>', 'test files at a time', wholeNumber, Math.max(1, Math.min(4, availableParallelism() >> 1)))
    .option('--results <folder>', 'where JSON and log are written', join(folder, '../results'))
    .addHelpText('after', '\nPYTHON names the Python with PyTorch, if it is not python3.');

/** @param code the file of all code, in the folder that run.sh unpacked */
export async function runAll(code) {
  const folder = dirname(dirname(code));
  const {
    tests,
    bench,
    quick,
    full,
    only,
    parts: wanted,
    batch,
    autotune,
    limit,
    jobs,
    ...rest
  } = command(folder).parse().opts();
  // Processes have groups of their own, which a signal to this one does not reach: they are ended at its exit.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
  const results = resolve(rest.results);
  mkdirSync(results, {recursive: true});
  const save = (name, value) => writeFileSync(join(results, name), `${JSON.stringify(value, null, 2)}\n`);
  const log = join(results, 'log.txt');
  rmSync(log, {force: true});

  const {env, found, tried} = await findGpu(folder, {code, log});
  const summary = {
    date: new Date().toISOString(),
    machine: {cpu: cpus()[0]?.model, cores: cpus().length, memory: totalmem(), kernel: release()},
    options: {quick: quick === true, full: full === true},
    ...found,
    tried,
  };
  save('summary.json', summary);
  if (found.gpu.missing) {
    for (const {env, answer} of tried) console.error(`${JSON.stringify(env)}: ${answer.split('. ')[0]}`);
    console.error('engram-gpu: Vulkan finds no GPU here. VK_DRIVER_FILES can name the manifest of its driver;');
    console.error(`${log} has what the loader said.`);
    process.exit(1);
  }
  const {vendor, architecture, description, driver, software} = found.gpu;
  console.log([vendor, architecture, description, driver, software ? 'in software' : null].filter(Boolean).join(' · '));
  if (found.addon.missing) console.log(`the C++ addon does not load here: ${found.addon.missing}`);
  if (full) env.ENGRAM_GPU_FULL = '1';

  const common = {code, env, log, limit};
  if (tests || !bench) {
    const {files, ...counts} = await runTests({
      ...common,
      only,
      jobs,
      save: (now) => save('tests.json', {gpu: found.gpu, ...now}),
    });
    summary.tests = {...counts, files: files.length};
    save('summary.json', summary);
  }
  if (bench || !tests) {
    const flags = [
      ...(quick ? ['--quick'] : []),
      ...(autotune ? ['--autotune'] : []),
      ...(batch ? ['--batch', String(batch)] : []),
    ];
    const {parts: ended, judged} = await runBench({...common, wanted, results, flags});
    const count = (status) => judged.filter((row) => row.status === status).length;
    summary.bench = {parts: ended, met: count('met'), missed: count('missed'), notMeasured: count('not measured')};
    save('summary.json', summary);
  }
  process.exit(report(summary, results) ? 0 : 1);
}

/** Prints what came out; true if nothing failed. A limit missed is a result, no failure. */
function report({tests, bench}, results) {
  if (tests) {
    const {passed, failed, skipped, files, failedFiles, notCarried} = tests;
    console.log(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped in ${files} files`);
    if (failedFiles.length > 0) console.log(`failed: ${failedFiles.join(', ')}`);
    const left = Object.keys(notCarried);
    if (left.length > 0) console.log(`not carried: ${left.join(', ')}`);
  }
  const broken = Object.entries(bench?.parts ?? {}).filter(([, ended]) => ended !== 'done');
  if (bench) {
    const {met, missed, notMeasured} = bench;
    console.log(`limits: ${met} met, ${missed} missed, ${notMeasured} not measured`);
    for (const [part, ended] of broken) console.log(`bench ${part}: ${ended}`);
  }
  console.log(`written to ${results}`);
  return broken.length === 0 && (tests?.failedFiles.length ?? 0) === 0;
}
