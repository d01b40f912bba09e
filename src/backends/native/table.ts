/** What the addon computes for the `native` TensorFlow.js backend; rows of the kernel table's kind, for the same checks. */
import type {OperationSpec} from './spec.js';
import {convolutionTable} from './table-convolution.js';
import {elementwiseTable} from './table-elementwise.js';
import {movementTable} from './table-movement.js';
import {reductionTable} from './table-reduction.js';
import {volumesTable} from './table-volumes.js';
import {windowsTable} from './table-windows.js';

export const backendTable = {
  ...convolutionTable,
  ...elementwiseTable,
  ...reductionTable,
  ...movementTable,
  ...windowsTable,
  ...volumesTable,
} as const satisfies Record<string, OperationSpec>;

export type Operation = keyof typeof backendTable;
export const operationNames = Object.keys(backendTable) as Operation[];
