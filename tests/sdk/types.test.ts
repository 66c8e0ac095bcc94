/** The package's types stand alone; here they are held against those that the service is made of. Checked by `tsc`. */
import type { ErrorCode } from '@deblur/shared/protocol/errors.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { expectTypeOf, it } from 'vitest';
import type { ServiceErrorCode } from '../../sdk/client/errors.ts';
import type * as sdk from '../../sdk/client/types.ts';

it('a prediction of the service is a prediction of the package', () => {
  expectTypeOf<Prediction>().toExtend<sdk.Prediction>();
});

it('every code of the service is a code of the package', () => {
  expectTypeOf<ErrorCode>().toExtend<ServiceErrorCode>();
});

it('every value of an option that the service takes, the package takes', () => {
  expectTypeOf<Options>().toExtend<{ readonly [Name in keyof Options]: SdkOptions[Name] | undefined }>();
});

/** By the names of the API. */
type SdkOptions = Omit<sdk.RestoreOptions, 'workingScale'> & {
  readonly working_scale?: sdk.RestoreOptions['workingScale'];
};
