/** Finds the fonts that have a script's letters, reads the letters' outlines, and groups fonts of one design. */
import {readdir, readFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import {basename, extname, join} from 'node:path';
import {dataFileError, reasonOf} from './images.js';
import {opentypePackage} from './optional-packages.js';
import type {Script} from './scripts.js';

/** Where systems keep their fonts. */
export const fontFolders: readonly string[] = [
  '/usr/share/fonts',
  '/usr/local/share/fonts',
  join(homedir(), '.local/share/fonts'),
  join(homedir(), '.fonts'),
  '/Library/Fonts',
  join(homedir(), 'Library/Fonts'),
];

/** Least and greatest coordinates. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A letter as a font draws it. The em is 1000 units, y downwards, the base line at 0. */
export interface Outline {
  /** SVG path. */
  readonly path: string;
  /** x, y of points on the outline, one after the other: corners, and eight to a curve. */
  readonly points: readonly number[];
  readonly box: Box;
}

/** One font file, as far as it concerns a script. */
export interface Face {
  /** Name of the file, without folder and extension. */
  readonly name: string;
  /** Name of the family it says it is of. */
  readonly family: string;
  readonly outlines: ReadonlyMap<string, Outline>;
}

const EM = 1000;
const PER_CURVE = 8;

/** A step of an outline: to x, y; where it is curved, with one or two control points. */
interface Command {
  readonly type: string;
  readonly x?: number;
  readonly y?: number;
  readonly x1?: number;
  readonly y1?: number;
  readonly x2?: number;
  readonly y2?: number;
}

/** What is used of opentype.js' fonts; its published types describe the names of an earlier version. */
interface FontFile {
  readonly names: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>> | undefined>>>>;
  charToGlyphIndex(letter: string): number;
  charToGlyph(letter: string): {getPath(x: number, y: number, size: number): {readonly commands: readonly Command[]}};
}

/**
 * The fonts that have every one of the letters, by file name.
 *
 * @param folder take all fonts (.ttf, .otf) of this folder and those in it; default: from the {@link fontFolders}, the
 * files that the script's packages install
 * @throws EngramError BACKEND without opentype.js; DATA_FILE for a folder or font that cannot be read
 */
export async function findFaces(
  script: Script,
  letters: readonly string[],
  {folder, signal}: {folder?: string | undefined; signal?: AbortSignal | undefined} = {},
): Promise<Face[]> {
  const {parse} = await opentypePackage();
  const files = new Map<string, string>();
  for (const root of folder === undefined ? fontFolders : [folder]) {
    for (const path of await fontsIn(root, folder !== undefined)) {
      const name = basename(path, extname(path));
      const wanted = folder !== undefined || script.packages.some((own) => own.files.test(name));
      if (wanted && !files.has(name)) files.set(name, path);
    }
  }
  const faces: Face[] = [];
  for (const name of [...files.keys()].sort()) {
    signal?.throwIfAborted();
    const path = files.get(name) as string;
    try {
      const bytes = await readFile(path);
      const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      const face = faceOf(name, parse(buffer) as unknown as FontFile, letters);
      if (face) faces.push(face);
    } catch (cause) {
      throw dataFileError(path, {
        expected: 'a font that opentype.js can read',
        received: reasonOf(cause),
        remedy: 'Remove the file, or name a folder of other fonts.',
        cause,
      });
    }
  }
  return faces;
}

/** Paths of the fonts in a folder and all in it, sorted; none where it is not there, unless it must be. */
async function fontsIn(folder: string, must: boolean): Promise<string[]> {
  try {
    const names = await readdir(folder, {recursive: true});
    return names
      .filter((name) => /\.(ttf|otf)$/i.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (cause) {
    if (!must && (cause as {code?: string}).code === 'ENOENT') return [];
    throw dataFileError(folder, {
      expected: 'fonts',
      received: reasonOf(cause),
      remedy: 'Name a folder of .ttf or .otf files that can be read.',
      cause,
    });
  }
}

/** Nothing if the font lacks a letter, or has a place but no outline for it. */
function faceOf(name: string, font: FontFile, letters: readonly string[]): Face | undefined {
  const outlines = new Map<string, Outline>();
  for (const letter of letters) {
    if (font.charToGlyphIndex(letter) === 0) return undefined;
    const {commands} = font.charToGlyph(letter).getPath(0, 0, EM);
    const outline = outlineOf(commands);
    if (outline.points.length === 0) return undefined;
    outlines.set(letter, outline);
  }
  return {name, family: familyOf(font) ?? name, outlines};
}

function outlineOf(commands: readonly Command[]): Outline {
  const steps: string[] = [];
  const points: number[] = [];
  let from: readonly number[] = [0, 0];
  for (const {type, x, y, x1, y1, x2, y2} of commands) {
    const ends = [x1, y1, x2, y2, x, y].filter((value) => value !== undefined);
    // Written here and not by opentype.js, whose text runs two numbers together where one is a very small negative.
    steps.push([type, ...ends.map((value) => value.toFixed(1))].join(' '));
    if (x === undefined || y === undefined) continue;
    if (ends.length === 2) points.push(x, y);
    else for (let k = 1; k <= PER_CURVE; k++) points.push(...onCurve([...from, ...ends], k / PER_CURVE));
    from = [x, y];
  }
  return {path: steps.join(' '), points, box: boxOf(points)};
}

/** The point at t of a Bezier curve, given by its points x, y, x, y, ...: de Casteljau's construction. */
function onCurve(points: readonly number[], t: number): number[] {
  let between = [...points];
  while (between.length > 2) between = between.slice(2).map((value, i) => (1 - t) * between[i] + t * value);
  return between;
}

function familyOf({names}: FontFile): string | undefined {
  const said = names.windows ?? names.unicode ?? names.macintosh ?? {};
  const inLanguages = said.preferredFamily ?? said.fontFamily ?? {};
  return inLanguages.en ?? Object.values(inLanguages)[0];
}

/** Smallest box around points `x, y, x, y, ...`. */
export function boxOf(points: readonly number[]): Box {
  const box = {left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity};
  for (let i = 0; i < points.length; i += 2) {
    box.left = Math.min(box.left, points[i]);
    box.right = Math.max(box.right, points[i]);
    box.top = Math.min(box.top, points[i + 1]);
    box.bottom = Math.max(box.bottom, points[i + 1]);
  }
  return box;
}

/** Share of letters in which two fonts must agree to be of one design; some families borrow a letter from another. */
const ALIKE = 1 / 3;

/**
 * The fonts grouped so that those of one family are together, and so are those that draw a third or more of the letters
 * alike, up to their width, height and place: a family is often sold on, condensed or renamed. Revivals of one old
 * design whose outlines were drawn anew remain apart.
 *
 * @returns groups in the order of their first font
 */
export function designsOf(faces: readonly Face[]): Face[][] {
  const shapes = faces.map(({outlines}) => [...outlines.values()].map(shapeOf));
  const designs: number[][] = [];
  for (const face of faces.keys()) {
    const alike = designs.filter((design) =>
      design.some((other) => {
        if (faces[face].family === faces[other].family) return true;
        const same = shapes[face].filter((shape, letter) => shape === shapes[other][letter]).length;
        return same >= ALIKE * shapes[face].length;
      }),
    );
    // A font may join groups that were apart; the first of them stays in its place.
    const [first = [], ...others] = alike;
    if (alike.length === 0) designs.push(first);
    first.push(face, ...others.flat());
    for (const other of others) designs.splice(designs.indexOf(other), 1);
  }
  return designs.map((design) => design.sort((a, b) => a - b).map((index) => faces[index]));
}

/** The points of an outline on a grid of 64 by 64 laid over its box. */
function shapeOf({points, box}: Outline): string {
  const [width, height] = [box.right - box.left || 1, box.bottom - box.top || 1];
  const places = points.map((value, i) =>
    Math.round((64 * (i % 2 === 0 ? value - box.left : value - box.top)) / (i % 2 === 0 ? width : height)),
  );
  return places.join();
}
