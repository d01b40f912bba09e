/** What the tests import from `vitest`, made of its own parts: its runner and its expectations, without Vite. */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  customMatchers,
  GLOBAL_EXPECT,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from '@vitest/expect';
import {getCurrentTest} from '@vitest/runner';

export {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  it,
  onTestFailed,
  onTestFinished,
  suite,
  test,
} from '@vitest/runner';

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);

// vitest keeps its own `expect` to itself; this is it without snapshots, polling and soft assertions.
export const expect = (value, message) => {
  const assertion = chai.expect(value, message);
  const test = getCurrentTest();
  return test ? assertion.withTest(test) : assertion;
};
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
expect.getState = () => getState(expect);
expect.setState = (state) => setState(state, expect);
expect.unreachable = (message = 'expected not to be reached') => chai.assert.fail(message);
expect.extend = (matchers) => chai.expect.extend(expect, matchers);
setState({assertionCalls: 0}, expect);
Object.defineProperty(globalThis, GLOBAL_EXPECT, {value: expect, writable: true, configurable: true});
expect.extend(customMatchers);
