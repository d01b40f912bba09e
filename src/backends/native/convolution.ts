/** Convolutions of NHWC images: their attributes as TensorFlow.js gives them, and their geometry. */
import * as tf from '@tensorflow/tfjs-core';
import {planeOf} from '../windows.js';

type Shape4 = [number, number, number, number];

export interface ConvolutionAttributes {
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dataFormat: 'NHWC' | 'NCHW';
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dilations?: [number, number] | number;
}

/** Shape of the outputs and sizes of the plane, or null for what tfjs itself does not do. */
export function convolutionOf(
  x: number[],
  filter: number[],
  {strides, pad, dimRoundingMode}: Omit<ConvolutionAttributes, 'dataFormat'>,
  dilations: [number, number] | number,
  depthwise = false,
) {
  const info = tf.backend_util.computeConv2DInfo(
    x as Shape4,
    filter as Shape4,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
  );
  if (info.outHeight < 0 || info.outWidth < 0 || info.inChannels !== filter[2]) return null;
  return {outShape: info.outShape, plane: {...planeOf(info), inChannels: info.inChannels}};
}
