// Three methods on digits whose pixels come in another order in every task: what each keeps, and what it costs.
import '@tensorflow/tfjs-layers';
import 'engram/native'; // without the C++ addon: import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core';
import {ElasticWeightConsolidation, fineTuning, MasMethod} from 'engram';
import {averageAccuracy, forgetting, learnSequence, loadDigits, mlp, permutedTasks} from 'engram/experiments';

await tf.setBackend('native');
const seed = 0;
const tasks = permutedTasks('permuted digits', await loadDigits(), 3, seed);
const settings = {optimizer: {kind: 'momentum', learningRate: 0.05, momentum: 0.9}, batchSize: 32, epochs: 5};

for (const [name, method] of Object.entries({
  'fine-tuning': fineTuning(),
  MAS: new MasMethod({lambda: 0.01}),
  EWC: new ElasticWeightConsolidation({lambda: 100}),
})) {
  const network = (image, seed) => mlp(image, {hidden: [128]}, seed); // a head is added
  const {accuracy, seconds} = await learnSequence(tasks, network, method, settings, {seed});
  method.dispose();
  const [ends, lost] = [averageAccuracy(accuracy), forgetting(accuracy)].map((share) => (100 * share).toFixed(1));
  console.log(`${name}: ends at ${ends} %, forgets ${lost} points, ${seconds.method.toFixed(2)} s of its own`);
}
