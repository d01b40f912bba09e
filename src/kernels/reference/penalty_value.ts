/** lambda * sum Omega (theta - theta*)^2, the penalty that holds the network to what it knows (MAS paper, equation 4). */
import type {Body} from './body.js';

export const penalty_value: Body<'penalty_value'> = (s, {theta, importance, anchor, value}) => {
  let total = 0;
  for (let i = 0; i < s.size; i++) total += importance[i] * (theta[i] - anchor[i]) ** 2;
  value[0] = s.lambda * total;
};
