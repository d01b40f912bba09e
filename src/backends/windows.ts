/** The windows of convolutions and poolings as the rows of the tables name them, read off what TensorFlow.js works out. */

/** What `computeConv2DInfo`, `computeConv3DInfo` and their like for pooling agree in. */
interface PlaneInfo {
  batchSize: number;
  inHeight: number;
  inWidth: number;
  filterHeight: number;
  filterWidth: number;
  outHeight: number;
  outWidth: number;
  strideHeight: number;
  strideWidth: number;
  dilationHeight: number;
  dilationWidth: number;
  padInfo: {top: number; left: number};
}

interface VolumeInfo {
  inDepth: number;
  filterDepth: number;
  outDepth: number;
  strideDepth: number;
  dilationDepth: number;
  padInfo: {front: number};
}

/** Samples, and height and width of everything. */
export function planeOf(info: PlaneInfo) {
  return {
    samples: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    filterHeight: info.filterHeight,
    filterWidth: info.filterWidth,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    dilationHeight: info.dilationHeight,
    dilationWidth: info.dilationWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
  };
}

/** The depth of everything; that of images is `flatDepth`. */
export function depthOf(info: VolumeInfo) {
  return {
    inDepth: info.inDepth,
    filterDepth: info.filterDepth,
    outDepth: info.outDepth,
    strideDepth: info.strideDepth,
    dilationDepth: info.dilationDepth,
    padFront: info.padInfo.front,
  };
}
