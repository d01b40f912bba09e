/** Eight tasks of really different images, none of which needs a download: Debian packages have them all. */
import {onlyClasses} from './choose.js';
import {debianFolder, loadFashionMnist} from './fashion-mnist.js';
import {loadGlyphs} from './glyphs.js';
import {materialiseSequence} from './in-memory.js';
import {loadOpencvDigits} from './opencv-digits.js';
import type {ScriptName} from './scripts.js';
import {type DataSet, type SequenceOfOptions, sequenceOf} from './sequence-of.js';
import type {TaskSequence} from './sequences.js';

const SIDE = 32;

/** How many images, and where they are taken from. */
export interface EightTasksOptions {
  readonly scenario: SequenceOfOptions['scenario'];
  /** Decides which images are taken, which fonts are for testing, and how letters vary; default 0. */
  readonly seed?: number;
  /** Training images of each task; default 2500. */
  readonly trainPerTask?: number | undefined;
  /** Test images of each task; default 500. */
  readonly testPerTask?: number | undefined;
  /** Folder of Fashion-MNIST; default that of the package dataset-fashion-mnist. */
  readonly fashionMnist?: string | undefined;
  /** OpenCV's digits.png; default that of the package opencv-doc. */
  readonly digits?: string | undefined;
  /** A folder whose fonts are all used; default: the files that the packages of each script install. */
  readonly fonts?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each task is made, with its name, how many are done, and of how many. */
  readonly onTask?: ((name: string, done: number, tasks: number) => void) | undefined;
}

/**
 * The tasks, `[32, 32]` in 0..1, white on black, in this order:
 *
 * 1. clothes: T-shirt/top, Trouser, Pullover, Dress, Coat of Fashion-MNIST
 * 2. digits: handwritten, ten (`loadOpencvDigits`)
 * 3. Greek, ten letters (`loadGlyphs`, so are 5 to 8)
 * 4. shoes, bags and shirts: the other five of Fashion-MNIST
 * 5. Hebrew
 * 6. Devanagari
 * 7. Katakana
 * 8. Thai
 *
 * Clothes and digits are photographs and handwriting, of which a fair share is drawn. Letters are drawn from about ten
 * designs of fonts a script, the same letter some 25 times a design with another size, slant and place: there are fewer
 * hands behind them than images. Which fonts there are is a matter of what is installed; with all packages of Debian 12
 * and the same version of sharp, the same seed gives the same images.
 *
 * @returns the sequence, in memory: at the default numbers 100 MB
 * @throws EngramError DATA_FILE naming the Debian packages that are missing; BACKEND without sharp or opentype.js;
 * ARGUMENT; or the signal's reason
 */
export async function eightTasks(options: EightTasksOptions): Promise<TaskSequence> {
  const {scenario, seed = 0, trainPerTask = 2500, testPerTask = 500, signal, onTask} = options;
  const folder = options.fashionMnist ?? debianFolder;
  const clothes = await loadFashionMnist({folder, signal});
  const some = (name: string, classes: readonly string[]): DataSet => ({
    name,
    train: onlyClasses(clothes.train, classes),
    test: onlyClasses(clothes.test, classes),
  });
  const letters = async (name: ScriptName): Promise<DataSet> => {
    const perClass = {trainPerClass: Math.ceil(trainPerTask / 10), testPerClass: Math.ceil(testPerTask / 10)};
    return {name, ...(await loadGlyphs(name, {seed, side: SIDE, fonts: options.fonts, signal, ...perClass}))};
  };
  const makers: readonly (readonly [name: string, make: (name: string) => DataSet | Promise<DataSet>])[] = [
    ['clothes', (name) => some(name, ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat'])],
    ['digits', async (name) => ({name, ...(await loadOpencvDigits(options.digits))})],
    ['Greek', () => letters('Greek')],
    ['shoes, bags and shirts', (name) => some(name, ['Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'])],
    ['Hebrew', () => letters('Hebrew')],
    ['Devanagari', () => letters('Devanagari')],
    ['Katakana', () => letters('Katakana')],
    ['Thai', () => letters('Thai')],
  ];
  const sets: DataSet[] = [];
  for (const [name, make] of makers) {
    signal?.throwIfAborted();
    onTask?.(name, sets.length, makers.length);
    sets.push(await make(name));
  }
  const frame = {height: SIDE, width: SIDE, channels: 1};
  const sequence = sequenceOf('eight tasks', sets, {...frame, scenario, seed, trainPerTask, testPerTask});
  return materialiseSequence(sequence);
}
