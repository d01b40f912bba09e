/** The scripts whose letters make tasks: ten letters each, and the Debian packages whose fonts have them. */

/** Fonts that a package installs. */
export interface FontPackage {
  /** Name of the Debian package. */
  readonly name: string;
  /** File names, without extension, of the fonts that are taken from it. */
  readonly files: RegExp;
}

/** A script. */
export interface Script {
  readonly name: string;
  /** The classes of its task. In scripts whose letters join, the form that stands alone. */
  readonly letters: readonly string[];
  readonly packages: readonly FontPackage[];
}

const dejavu = {name: 'fonts-dejavu-core', files: /^DejaVu(Sans|SansMono|Serif)(-Bold)?$/};
const free = {name: 'fonts-freefont-ttf', files: /^Free(Mono|Sans|Serif)(Bold)?(Oblique|Italic)?$/};
const libertine = {name: 'fonts-linuxlibertine', files: /^Lin(Libertine|Biolinum)_R(B|I|BI)?$/};

/** Noto's fonts of a script, or with '' its fonts of Latin, Greek and Cyrillic. */
const noto = (script: string) => ({
  name: 'fonts-noto-core',
  files: new RegExp(`^Noto(Sans|Serif)${script}-(Regular|Bold|Italic|BoldItalic)$`),
});

/** A package with one family, whose files begin with `stem`. */
const family = (name: string, stem: string) => ({name: `fonts-${name}`, files: new RegExp(`^${stem}`)});

/**
 * The scripts that are known here. Letters were chosen to be those of no other script where a script has ten such
 * (Greek without A, Cyrillic without H).
 */
export const scripts = {
  Latin: {name: 'Latin', letters: [...'ABDEGKMQRS'], packages: [dejavu, free, libertine, noto('')]},
  Greek: {
    name: 'Greek',
    letters: [...'ΓΔΘΛΞΠΣΦΨΩ'],
    packages: [
      dejavu,
      free,
      libertine,
      family('gfs-artemisia', 'GFSArtemisia'),
      family('gfs-didot', 'GFSDidot'),
      family('gfs-neohellenic', 'GFSNeohellenic'),
    ],
  },
  Cyrillic: {name: 'Cyrillic', letters: [...'БГДЖИЛФЦЭЯ'], packages: [dejavu, free, libertine, noto('')]},
  Hebrew: {
    name: 'Hebrew',
    letters: [...'אבגהטלמעצש'],
    packages: [{name: 'culmus', files: /(CLM|KeterYG|Shofar)/}, free, noto('Hebrew')],
  },
  Arabic: {
    name: 'Arabic',
    letters: [...'ابجدسصعقمه'],
    packages: [
      {name: 'fonts-kacst', files: /^Kacst(Book|Digital|Letter|Naskh|Office|Poster|Qurn|Screen|Title)$/},
      family('hosny-amiri', 'Amiri-'),
      dejavu,
      free,
      noto('Arabic'),
    ],
  },
  Devanagari: {
    name: 'Devanagari',
    letters: [...'कखगचजतदनमह'],
    packages: [
      family('aksharyogini2', 'Aksharyogini2'),
      family('gargi', 'Gargi'),
      family('lohit-deva', 'Lohit-Devanagari'),
      family('nakula', 'nakula'),
      family('sahadeva', 'sahadeva'),
      family('samyak-deva', 'Samyak-Devanagari'),
      family('sarai', 'Sarai'),
      free,
      noto('Devanagari'),
    ],
  },
  Katakana: {
    name: 'Katakana',
    letters: [...'アイウエオカキクケコ'],
    packages: [
      family('ipafont-gothic', 'ipag$'),
      family('ipafont-mincho', 'ipam$'),
      family('kiloji', 'kiloji$'),
      family('konatu', 'Konatu$'),
      family('motoya-l-cedar', 'MTLc3m'),
      family('motoya-l-maruberi', 'MTLmr3m'),
      family('sawarabi-gothic', 'sawarabi-gothic'),
      family('sawarabi-mincho', 'sawarabi-mincho'),
      family('seto', 'setofont$'),
      family('vlgothic', 'VL-Gothic'),
    ],
  },
  Thai: {
    name: 'Thai',
    letters: [...'กขคงจชดตนม'],
    packages: [
      {name: 'fonts-thai-tlwg-ttf', files: /^(Garuda|Kinnari|Laksaman|Loma|Norasi|Purisa|Sawasdee|Tlwg|Umpush|Waree)/},
      noto('Thai'),
    ],
  },
} as const satisfies Record<string, Script>;

/** Name of a script that is known here. */
export type ScriptName = keyof typeof scripts;
