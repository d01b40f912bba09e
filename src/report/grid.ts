/** A table of texts, and its forms: Markdown, LaTeX, HTML and terminal. */
import CliTable from 'cli-table3';

/** One table. Cells are plain text, with `±`, `−` and `–` as they are; each form escapes what it must. */
export interface Grid {
  readonly caption: string;
  /** Above each column; the first column names the rows. */
  readonly head: readonly string[];
  readonly rows: readonly GridRow[];
  /** Columns of text, which are aligned to the left; the first is so too. */
  readonly texts?: readonly number[];
}

export interface GridRow {
  readonly cells: readonly string[];
  /** Not ours: set apart from the other rows. */
  readonly published?: boolean;
}

/** A GitHub-flavoured Markdown table under its caption. */
export function markdownGrid(grid: Grid): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = grid.head.map((_, column) => (isText(grid, column) ? '---' : '---:'));
  const rows = grid.rows.map(({cells, published}) => {
    const [first, ...rest] = cells.map(escapeMarkdown);
    return line([published ? `*${first}*` : first, ...rest]);
  });
  const head = line(grid.head.map(escapeMarkdown));
  return [`**${escapeMarkdown(grid.caption)}**`, '', head, line(rule), ...rows, ''].join('\n');
}

/**
 * A LaTeX `table` in the style of the package booktabs. Headings are stacked word by word; published rows stand under a
 * rule of their own.
 */
export function latexGrid(grid: Grid): string {
  const line = (cells: readonly string[]) => `    ${cells.map(escapeLatex).join(' & ')} \\\\`;
  const columns = grid.head.map((_, column) => (isText(grid, column) ? 'l' : 'r'));
  const head = grid.head.map((heading, column) => {
    const lines = linesOf(heading).map(escapeLatex);
    return lines.length > 1 ? `\\shortstack[${columns[column]}]{${lines.join(' \\\\ ')}}` : lines[0];
  });
  const ours = grid.rows.filter(({published}) => !published).map(({cells}) => line(cells));
  const theirs = grid.rows.filter(({published}) => published).map(({cells}) => line(cells));
  return [
    '\\begin{table}',
    '  \\centering\\small',
    `  \\caption{${escapeLatex(grid.caption)}}`,
    `  \\begin{tabular}{${columns.join('')}}`,
    '    \\toprule',
    `    ${head.join(' & ')} \\\\`,
    '    \\midrule',
    ...ours,
    ...(theirs.length > 0 && ours.length > 0 ? ['    \\midrule'] : []),
    ...theirs,
    '    \\bottomrule',
    '  \\end{tabular}',
    '\\end{table}',
    '',
  ].join('\n');
}

/** An HTML table with a caption and scopes, for those who hear it. */
export function htmlGrid(grid: Grid): string {
  const kind = (column: number) => (isText(grid, column) ? ' class="text"' : '');
  const head = grid.head.map((cell, column) => `<th scope="col"${kind(column)}>${escapeHtml(cell)}</th>`).join('');
  const rows = grid.rows.map(({cells: [first, ...rest], published}) => {
    const cells = rest.map((cell, i) => `<td${kind(i + 1)}>${escapeHtml(cell)}</td>`).join('');
    return `<tr${published ? ' class="published"' : ''}><th scope="row">${escapeHtml(first)}</th>${cells}</tr>`;
  });
  return `<table>
<caption>${escapeHtml(grid.caption)}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>`;
}

/** The table for a terminal, under its caption. Words of the head stand under each other, so that it stays narrow. */
export function terminalGrid(grid: Grid): string {
  const table = new CliTable({
    head: grid.head.map((cell) => linesOf(cell).join('\n')),
    colAligns: grid.head.map((_, column) => (isText(grid, column) ? 'left' : 'right')),
    style: {head: [], border: [], compact: true},
  });
  for (const {cells} of grid.rows) table.push([...cells]);
  return `${grid.caption}\n${table}`;
}

/** A heading word by word, so that it is not wider than what stands under it; numbers keep their units. */
const linesOf = (heading: string) => heading.split(/(?<!\d) /);

const isText = ({texts}: Grid, column: number) => column === 0 || (texts?.includes(column) ?? false);

/** Text that Markdown shows as it is. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#~]/g, '\\$&').replace(/\s*\n\s*/g, ' ');
}

const LATEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  '&': '\\&',
  '%': '\\%',
  $: '\\$',
  '#': '\\#',
  _: '\\_',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '|': '\\textbar{}',
  '[': '{[}', // at the beginning of a row it would belong to the end of the row before
  '±': '$\\pm$',
  '−': '$-$',
  '–': '--',
  '×': '$\\times$',
  λ: '$\\lambda$',
  Ω: '$\\Omega$',
};

/** Text that LaTeX sets as it is. */
export function escapeLatex(text: string): string {
  return text.replace(/[\\{}&%$#_~^<>|[±−–×λΩ]/g, (character) => LATEX[character]).replace(/\s*\n\s*/g, ' ');
}

/** Text for HTML, between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/** One line of RFC 4180 CSV, without its end. */
export function csvLine(cells: readonly (string | number | undefined)[]): string {
  return cells
    .map((cell) => {
      const text = cell === undefined ? '' : String(cell);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(',');
}
