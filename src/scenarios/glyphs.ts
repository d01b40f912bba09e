/** Letters drawn from fonts: a script is a task, a letter a class, each font a hand that writes it a little differently. */
import seedrandom from 'seedrandom';
import {EngramError} from '../errors.js';
import {boxOf, designsOf, type Face, findFaces, fontFolders, type Outline} from './fonts.js';
import {dataFileError, type ImagesInMemory, imagesInMemory} from './images.js';
import {sharpPackage} from './optional-packages.js';
import {type Script, type ScriptName, scripts} from './scripts.js';
import {shuffledRange} from './sequences.js';

/** Fewest designs: two to train on and one to test on. */
const FEWEST = 3;
const TEST_SHARE = 0.25;
/** Share of the image's side that the tallest or widest letter of a font takes before it is varied. */
const FILL = 0.75;
/** Pixels kept free around a letter: a curve may reach a little beyond the points by which it is measured. */
const MARGIN = 0.5;

/** How much an image may differ from the font's letter; each number is drawn evenly from plus or minus its limit. */
export interface GlyphJitter {
  /** Share of the size. */
  readonly scale: number;
  /** Degrees. */
  readonly rotation: number;
  /** Shift in x per step in y. */
  readonly shear: number;
  /** Share of the image's side, in x and in y. */
  readonly shift: number;
}

/** What is drawn. */
export interface GlyphOptions {
  /** Decides which fonts are for testing, and every variation; default 0. */
  readonly seed?: number;
  /** Pixels of a side; default 32. */
  readonly side?: number;
  /** Training images of each letter; default 250. */
  readonly trainPerClass?: number;
  /** Test images of each letter; default 50. */
  readonly testPerClass?: number;
  /** Default: scale 0.15, rotation 12, shear 0.2, shift 0.06. */
  readonly jitter?: Partial<GlyphJitter>;
  /** Take all fonts of this folder; default: the files that the script's packages install. */
  readonly fonts?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Drawn letters, and the font files that they were drawn from. */
export interface Glyphs {
  readonly train: ImagesInMemory;
  readonly test: ImagesInMemory;
  readonly trainFonts: readonly string[];
  readonly testFonts: readonly string[];
}

/**
 * Draws letters, white on black, `[side, side]` in 0..1. A quarter of the designs (fonts of one family, or that draw alike, are one), at least one,
 * is for testing: no font of theirs is seen in training. Every design has as many images as any other, or one less, and
 * so has every font of a design; they differ in size, slant and place as `jitter` allows. No letter is cut off.
 *
 * The same seed, fonts and version of sharp give the same images.
 *
 * @throws EngramError DATA_FILE naming the Debian packages if fewer than three designs have the letters; ARGUMENT;
 * BACKEND without sharp or opentype.js; or the signal's reason
 */
export async function loadGlyphs(of: ScriptName | Script, options: GlyphOptions = {}): Promise<Glyphs> {
  const script: Script = typeof of === 'string' ? scripts[of] : of;
  const {seed = 0, side = 32, trainPerClass = 250, testPerClass = 50, fonts: folder, signal} = options;
  const jitter = {scale: 0.15, rotation: 12, shear: 0.2, shift: 0.06, ...options.jitter};
  check(script !== undefined, `one of the scripts ${Object.keys(scripts).join(', ')}`, String(of));
  const wholes = [side, trainPerClass, testPerClass];
  check(
    wholes.every((n) => Number.isInteger(n) && n > 0),
    'whole sides and numbers above 0',
    wholes.join(', '),
  );
  const limits = Object.values(jitter);
  check(
    limits.every((most) => most >= 0 && most < 90) && jitter.scale < 1,
    'limits of jitter from 0',
    limits.join(', '),
  );

  const designs = designsOf(await findFaces(script, script.letters, {folder, signal}));
  if (designs.length < FEWEST) throw tooFew(script, designs, folder);
  const order = shuffledRange(designs.length, `${seed}/${script.name}/fonts`);
  const held = Math.max(1, Math.round(designs.length * TEST_SHARE));
  const pick = (places: Uint32Array) => Array.from(places.sort(), (place) => designs[place]);
  const parts = {test: pick(order.slice(0, held)), train: pick(order.slice(held))};
  const draw = async (part: 'train' | 'test', perClass: number): Promise<ImagesInMemory> => {
    const drawings = script.letters.flatMap((letter) => {
      const random = seedrandom(`${seed}/${script.name}/${part}/${letter}`);
      return Array.from({length: perClass}, (_, i): Drawing => {
        const design = parts[part][i % parts[part].length];
        const face = design[Math.floor(i / parts[part].length) % design.length];
        return {face, letter, matrix: place(face, letter, side, jitter, random)};
      });
    });
    const count = drawings.length;
    const pixels = await render(drawings, side, signal);
    const labels = Uint8Array.from(drawings, ({letter}) => script.letters.indexOf(letter));
    return imagesInMemory({pixels, labels, count, height: side, width: side, channels: 1, classes: script.letters});
  };
  const names = (part: 'train' | 'test') => parts[part].flat().map(({name}) => name);
  return {
    train: await draw('train', trainPerClass),
    test: await draw('test', testPerClass),
    trainFonts: names('train'),
    testFonts: names('test'),
  };
}

function tooFew(script: Script, designs: readonly Face[][], folder: string | undefined): EngramError {
  const found = designs.map(([{family}]) => family);
  const names = [...new Set(script.packages.map(({name}) => name))];
  return dataFileError(folder ?? fontFolders.join(', '), {
    expected: `fonts of ${FEWEST} or more designs with the letters ${script.letters.join(' ')} (${script.name})`,
    received: found.length === 0 ? 'none' : `${found.length}: ${found.join(', ')}`,
    remedy: `Install the Debian packages ${names.join(' ')}, or name a folder of such fonts.`,
  });
}

/** a, b, c, d, e, f of SVG: x' = a x + c y + e, y' = b x + d y + f. */
type Matrix = readonly [number, number, number, number, number, number];

interface Drawing {
  readonly face: Face;
  readonly letter: string;
  readonly matrix: Matrix;
}

/**
 * From the font's units to the image's pixels. Letters keep their relative size and height within their font: its
 * tallest or widest fills {@link FILL} of the image, and all share one base line. Then the letter is varied about its
 * middle, made smaller if it is larger than the image, and moved back inside.
 */
function place(face: Face, letter: string, side: number, jitter: GlyphJitter, random: () => number): Matrix {
  const {box, points} = face.outlines.get(letter) as Outline;
  const boxes = Array.from(face.outlines.values(), (outline) => outline.box);
  const [top, bottom] = [Math.min(...boxes.map((own) => own.top)), Math.max(...boxes.map((own) => own.bottom))];
  const extent = Math.max(bottom - top, ...boxes.map((own) => own.right - own.left));
  const even = (limit: number) => (2 * random() - 1) * limit;

  const size = ((FILL * side) / extent) * (1 + even(jitter.scale));
  const angle = (even(jitter.rotation) * Math.PI) / 180;
  const shear = even(jitter.shear);
  const [middleX, middleY] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const [cos, sin] = [Math.cos(angle) * size, Math.sin(angle) * size];
  // Shear first, then turn: columns (a, b) and (c, d) of the product.
  const turned = {a: cos, b: sin, c: cos * shear - sin, d: sin * shear + cos};
  const extents = boxOf(
    points.map((value, i) => {
      const [x, y] =
        i % 2 === 0 ? [value - middleX, points[i + 1] - middleY] : [points[i - 1] - middleX, value - middleY];
      return i % 2 === 0 ? turned.a * x + turned.c * y : turned.b * x + turned.d * y;
    }),
  );
  const room = side - 2 * MARGIN;
  const shrink = Math.min(1, room / (extents.right - extents.left), room / (extents.bottom - extents.top));
  const inside = (at: number, least: number, most: number) =>
    Math.min(Math.max(at, MARGIN - least * shrink), side - MARGIN - most * shrink);
  // The font's common middle comes to the middle of the image; this letter's own may lie above or below.
  const raised = (middleY - (top + bottom) / 2) * size;
  const x = inside(side / 2 + even(jitter.shift) * side, extents.left, extents.right);
  const y = inside(side / 2 + raised + even(jitter.shift) * side, extents.top, extents.bottom);
  const [a, b, c, d] = [turned.a, turned.b, turned.c, turned.d].map((value) => value * shrink);
  return [a, b, c, d, x - a * middleX - c * middleY, y - b * middleX - d * middleY];
}

/** Images along a side of the sheet that is drawn at once. */
const PER_ROW = 32;

/** `[drawings.length, side, side]`: sheets of 32 by 32 letters are drawn as SVG by libvips, and cut up. */
async function render(drawings: readonly Drawing[], side: number, signal?: AbortSignal): Promise<Float32Array> {
  const sharp = await sharpPackage();
  const pixels = new Float32Array(drawings.length * side * side);
  for (let start = 0; start < drawings.length; start += PER_ROW * PER_ROW) {
    signal?.throwIfAborted();
    const sheet = drawings.slice(start, start + PER_ROW * PER_ROW);
    const width = PER_ROW * side;
    const image = sharp(Buffer.from(svgOf(sheet, side)), {limitInputPixels: false});
    const grey = await image.removeAlpha().extractChannel(0).raw({depth: 'uchar'}).toBuffer();
    for (const index of sheet.keys()) {
      const corner = Math.floor(index / PER_ROW) * side * width + (index % PER_ROW) * side;
      for (let p = 0; p < side * side; p++) {
        pixels[(start + index) * side * side + p] = grey[corner + Math.floor(p / side) * width + (p % side)] / 255;
      }
    }
  }
  return pixels;
}

/** Each letter of a font stands once, and is placed as often as it is used. */
function svgOf(sheet: readonly Drawing[], side: number): string {
  const outlines = new Map<Outline, string>();
  const uses = sheet.map(({face, letter, matrix}, index) => {
    const outline = face.outlines.get(letter) as Outline;
    const id = outlines.get(outline) ?? `g${outlines.size}`;
    outlines.set(outline, id);
    const [left, top] = [(index % PER_ROW) * side, Math.floor(index / PER_ROW) * side];
    const placed = matrix.map((value, i) => value + (i === 4 ? left : i === 5 ? top : 0));
    return `<use href="#${id}" transform="matrix(${placed.map((value) => value.toFixed(6)).join(' ')})"/>`;
  });
  const paths = Array.from(outlines, ([{path}, id]) => `<path id="${id}" d="${path}"/>`);
  const sides = `width="${PER_ROW * side}" height="${Math.ceil(sheet.length / PER_ROW) * side}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${sides}><defs>${paths.join('')}</defs><rect ${sides}/><g fill="#fff">${uses.join('')}</g></svg>`;
}

function check(right: boolean, expected: string, received: string): void {
  if (right) return;
  throw new EngramError('ARGUMENT', {expected, received, remedy: 'See GlyphOptions.'});
}
