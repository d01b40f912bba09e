/** Methods by the name that an experiment gives them: which options each takes, and how it is made. */
import {z} from 'zod';
import {BatchMasMethod} from '../methods/batch-importance.js';
import {ElasticWeightConsolidation} from '../methods/elastic-weight-consolidation.js';
import {EncoderBasedLifelongLearning} from '../methods/encoder-based.js';
import {ExperienceReplay} from '../methods/experience-replay.js';
import {fineTuning, jointTraining} from '../methods/fine-tuning.js';
import {IncrementalMomentMatching} from '../methods/incremental-moment-matching.js';
import {LearningWithoutForgetting} from '../methods/learning-without-forgetting.js';
import {LocalMasMethod} from '../methods/local-mas.js';
import {type MasPreset, masPresets} from '../methods/mas-presets.js';
import {MasMethod, VectorMasMethod} from '../methods/memory-aware.js';
import type {Method} from '../methods/method.js';
import {RiemannianWalk} from '../methods/riemannian-walk.js';
import {SynapticIntelligence} from '../methods/synaptic-intelligence.js';
import {dataFileError} from '../scenarios/images.js';

/** A method as it stands in a file: its name, its options, and perhaps a grid of values to choose from. */
export interface MethodSpec {
  readonly method: string;
  readonly grid?: Readonly<Record<string, readonly number[]>> | undefined;
  readonly importanceFrom?: 'train' | 'test' | 'both' | undefined;
  readonly importanceClasses?: readonly number[] | undefined;
  readonly [option: string]: unknown;
}

const strength = z.number().min(0);
const penalty = {
  lambda: strength,
  step: z.enum(['proximal', 'explicit']).optional(),
  normalize: z.boolean().optional(),
};

interface Entry {
  readonly options: z.ZodObject;
  readonly make: (options: never) => Method;
}

function entry<S extends z.ZodRawShape>(options: S, make: (options: z.infer<z.ZodObject<S>>) => Method): Entry {
  return {options: z.strictObject(options), make};
}

const answers = {lambda: strength.optional(), temperature: z.number().positive().optional()};

const methods: Readonly<Record<string, Entry>> = {
  'fine-tuning': entry({}, fineTuning),
  joint: entry({}, jointTraining),
  mas: entry(penalty, (options) => new MasMethod(defined(options))),
  'vector-mas': entry(penalty, (options) => new VectorMasMethod(defined(options))),
  'local-mas': entry(penalty, (options) => new LocalMasMethod(defined(options))),
  'batch-mas': entry(
    {
      ...penalty,
      preset: z.enum(Object.keys(masPresets) as MasPreset[]),
      batchSize: z.int().min(1).optional(),
    },
    (options) => new BatchMasMethod(defined(options)),
  ),
  ewc: entry(
    {
      ...penalty,
      fisher: z.enum(['empirical', 'sampled', 'expectation']).optional(),
      penalties: z.enum(['separate', 'online']).optional(),
      decay: strength.optional(),
    },
    (options) => new ElasticWeightConsolidation(defined(options)),
  ),
  si: entry(
    {...penalty, xi: z.number().positive().optional()},
    (options) => new SynapticIntelligence(defined(options)),
  ),
  rwalk: entry(
    {...penalty, alpha: z.number().positive().max(1).optional(), interval: z.int().min(1).optional()},
    (options) => new RiemannianWalk(defined(options)),
  ),
  lwf: entry(answers, (options) => new LearningWithoutForgetting(defined(options))),
  ebll: entry(
    {
      ...answers,
      codeSize: z.int().min(1),
      alpha: strength.optional(),
      reconstruction: strength.optional(),
      learningRate: z.number().positive().optional(),
      epochs: z.int().min(1).optional(),
    },
    (options) => new EncoderBasedLifelongLearning(defined(options)),
  ),
  imm: entry(
    {
      merge: z.enum(['mean', 'mode']).optional(),
      transfer: strength.optional(),
      floor: z.number().positive().optional(),
    },
    (options) => new IncrementalMomentMatching(defined(options)),
  ),
  replay: entry(
    {capacity: z.int().min(1), samplesPerStep: z.int().min(1).optional()},
    (options) => new ExperienceReplay(defined(options)),
  ),
};

/** Names of all methods. */
const methodNames = Object.keys(methods);

/**
 * The schema of a method's options.
 *
 * @throws EngramError DATA_FILE for a name that there is not
 */
export function methodOptions({method}: MethodSpec, file: string, label: string): z.ZodType {
  const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (found) return found.options.extend({method: z.literal(method)});
  throw dataFileError(file, {
    expected: `a valid field "methods.${label}.method"`,
    received: `"${method}"`,
    remedy: `There are ${methodNames.join(', ')}.`,
  });
}

/** Makes a method from options that {@link methodOptions} has passed. */
export function makeMethod({method, ...options}: MethodSpec): Method {
  return methods[method].make(options as never);
}

/** Without the options that are undefined. */
function defined<T extends object>(options: T): {[K in keyof T]: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
