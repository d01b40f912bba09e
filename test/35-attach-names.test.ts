/** Names without the numbers of TensorFlow.js: what is left is what the user meant. */
import {describe, expect, it} from 'vitest';
import {unnumbered} from '../dist/memory/match.js';

describe('names', () => {
  it('lose only the numbers that TensorFlow.js gives', () => {
    for (const [name, base] of [
      ['dense_Dense12/kernel', 'dense_Dense/kernel'],
      ['conv2d_Conv2D3/bias', 'conv2d_Conv2D/bias'],
      ['batch_normalization_BatchNormalization1/gamma', 'batch_normalization_BatchNormalization/gamma'],
      [
        'bidirectional_Bidirectional2/backward_lstm_LSTM7/kernel',
        'bidirectional_Bidirectional/backward_lstm_LSTM/kernel',
      ],
      ['17', ''],
      ['block2/kernel', 'block2/kernel'],
      ['head_1/kernel', 'head_1/kernel'],
      ['my_Net2/w', 'my_Net2/w'],
      ['_Dense1/w', '_Dense1/w'],
      ['Dense1', 'Dense1'],
      ['1/2', '1/2'],
      ['', ''],
    ]) {
      expect(unnumbered(name)).toBe(base);
    }
    // Long enough that a pattern which backtracks would not come back before the test is given up.
    const hostile = `${'_A'.repeat(500_000)}1`;
    expect(unnumbered(hostile)).toBe(hostile);
  });
});
