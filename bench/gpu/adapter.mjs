/** What a result must say about the GPU it is from. */
import {spawnSync} from 'node:child_process';

const entries = (object) => {
  const found = {};
  // Properties of WebGPU objects are getters of their prototypes.
  for (const name in object) if (typeof object[name] !== 'function') found[name] = object[name];
  return found;
};

/** The driver, which WebGPU does not tell: asked of nvidia-smi, else null. */
function driver() {
  const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
  const {status, stdout} = spawnSync('nvidia-smi', query, {encoding: 'utf8'});
  return status === 0 ? stdout.trim() : null;
}

export function describeGpu(adapter, device) {
  const {vendor, architecture, device: model, description, isFallbackAdapter, ...rest} = entries(adapter.info);
  const matrices = adapter.info.subgroupMatrixConfigs;
  return {
    vendor,
    architecture,
    device: model,
    description,
    software: isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe/i.test(`${architecture} ${description}`),
    driver: driver(),
    ...(rest.subgroupMinSize ? {subgroups: [rest.subgroupMinSize, rest.subgroupMaxSize]} : {}),
    subgroupMatrixConfigs: matrices ? [...matrices].map(entries) : null,
    adapterFeatures: [...adapter.features].sort(),
    features: [...device.features].sort(),
    limits: entries(device.limits),
  };
}
