/** Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; MIT licence): 70 000 images of 28x28 pixels in 10 classes of clothing. */
import {type IdxSet, type IdxSetOptions, loadIdxSet, type TrainAndTest} from './idx-sets.js';

/** Where Debian's package dataset-fashion-mnist puts the files. */
export const debianFolder = '/usr/share/datasets/fashion-mnist';

/** The four files; Debian's archives, packed anew, unpack to the same bytes as the authors'. */
export const fashionMnistFiles = {
  trainImages: {
    name: 'train-images-idx3-ubyte',
    sha256: 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    bytes: 26421880,
  },
  trainLabels: {
    name: 'train-labels-idx1-ubyte',
    sha256: 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    bytes: 29515,
  },
  testImages: {
    name: 't10k-images-idx3-ubyte',
    sha256: '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    bytes: 4422102,
  },
  testLabels: {
    name: 't10k-labels-idx1-ubyte',
    sha256: '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
    bytes: 5148,
  },
} as const;

/** What the loader knows of Fashion-MNIST. */
export const fashionMnist: IdxSet = {
  name: 'fashion-mnist',
  files: fashionMnistFiles,
  counts: {train: 60000, test: 10000},
  classes: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
  installed: debianFolder,
  source: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
  remedy: 'Name the folder of the four IDX files, or install the Debian package dataset-fashion-mnist.',
};

/**
 * Reads Fashion-MNIST: see {@link loadIdxSet}. 60 000 training and 10 000 test images `[28, 28]` in 0..1.
 *
 * @throws EngramError DATA_FILE
 */
export function loadFashionMnist(options?: IdxSetOptions): Promise<TrainAndTest> {
  return loadIdxSet(fashionMnist, options);
}
