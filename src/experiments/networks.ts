/** Networks by the name that an experiment gives them. */
import {z} from 'zod';
import type {MakeBackbone} from './learn.js';
import {alexnet} from './networks/alexnet.js';
import {cnn} from './networks/cnn.js';
import {mlp} from './networks/mlp.js';

export const networkSchema = z.discriminatedUnion('kind', [
  z.strictObject({kind: z.literal('mlp'), hidden: z.array(z.int().min(1)).min(1)}),
  z.strictObject({kind: z.literal('cnn')}),
  /** `weights` is the path of a safetensors file, in the folder of the data if it is not absolute. */
  z.strictObject({kind: z.literal('alexnet'), weights: z.string().optional()}),
]);

type NetworkSpec = z.infer<typeof networkSchema>;

/**
 * @param locate the path of a file that the experiment names
 * @throws EngramError DATA_FILE for weights that cannot be read, ARGUMENT for images of the wrong size
 */
export function backboneOf(spec: NetworkSpec, locate: (file: string) => string): MakeBackbone {
  switch (spec.kind) {
    case 'mlp':
      return (image, seed) => mlp(image, spec, seed);
    case 'cnn':
      return cnn;
    case 'alexnet': {
      const weights = spec.weights === undefined ? undefined : locate(spec.weights);
      return (image, seed) => alexnet(image, {weights}, seed);
    }
  }
}
