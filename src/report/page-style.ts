/** How the page of a report looks, on a screen by day and by night, and on paper. */

/** CSS of the page. */
export const STYLE = `:root { color-scheme: light dark; --ink: #1f2430; --soft: #5b6270; --line: #d5d9e0; --paper: #fff; --tint: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #a4acba; --line: #3a4150; --paper: #16191f; --tint: #1f242d; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 Inter, Helvetica, Arial, sans-serif; }
main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 2.5rem 0 0.5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line); }
.about { max-width: 48rem; font-size: 1.1rem; margin: 0; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.25rem; margin: 0 0 1rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.wide { overflow-x: auto; margin: 0 0 1.25rem; }
table { min-width: 32rem; border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0.25rem 0; }
th, td { padding: 0.3rem 0.7rem; text-align: right; vertical-align: top; white-space: nowrap; }
th:first-child, th.text, td.text { text-align: left; white-space: normal; }
thead th { vertical-align: bottom; font-weight: 600; white-space: normal; border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 2px solid var(--ink); }
tbody tr:nth-child(even) > * { background: var(--tint); }
tr.published > * { font-style: italic; color: var(--soft); }
.notes { font-size: 0.875rem; color: var(--soft); max-width: 60rem; }
ul.notes { padding-left: 1.25rem; }
figure { margin: 0 0 1.25rem; }
figure svg { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.gallery figure { margin: 0; max-width: 100%; }
pre { background: var(--tint); padding: 0.75rem 1rem; border-radius: 4px; overflow-x: auto; }
footer { margin-top: 3rem; padding-top: 0.5rem; padding-bottom: 2rem; font-size: 0.875rem; color: var(--soft); }
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --tint: #fff; }
  body { font-size: 10pt; }
  main, footer { max-width: none; padding: 0; }
  .wide { overflow: visible; }
  table { min-width: 0; font-size: 7.5pt; }
  th, td { padding: 0.15rem 0.3rem; }
  figure, tr, pre { break-inside: avoid; }
  h2 { break-after: avoid; }
  @page { margin: 15mm; }
}
`;
