import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** The rooms of the gateway: each may import those behind it in this list, and none before it. `deps.ts` joins them. */
const gatewayRooms = [
  'http',
  'predictions',
  'restorations',
  'jobs',
  'webhooks',
  'metrics',
  'runners',
  'limits',
  'tenants',
  'results',
  'sources',
];

const partsMeetInShared = 'the parts meet only in shared/';

/** Arrows of a part whose rooms import only those that the table lists; files beside the rooms join them. */
function roomsOf(part, table) {
  const rooms = Object.keys(table);
  return rooms.map((room) => {
    const forbidden = rooms.filter((other) => other !== room && !table[room].includes(other));
    const allowed = table[room].length === 0 ? 'no other room' : table[room].join(', ');
    return [`${part}${room}/`, `^\\.\\./(${forbidden.join('|')})/`, `${part}${room}/ imports ${allowed}`];
  });
}

/**
 * The import arrows (ARCHITECTURE.md, "Arrows") as a table: an import in a file below the path that matches the pattern is
 * an error. A rule for a folder holds for the folders in it.
 */
const arrows = [
  ['shared/', '^(?!zod$|\\.{1,2}/)', 'shared/ imports zod and its own files, nothing else'],
  ['workers/gateway/', '(^|/)(edge-runner|gpu-runner|web)/', partsMeetInShared],
  ['workers/edge-runner/', '(^|/)(gateway|gpu-runner|web)/', partsMeetInShared],
  ['workers/web/', '(^|/)(gateway|edge-runner|gpu-runner)/', partsMeetInShared],
  ['gpu-runner/', '(^|/)(gateway|edge-runner|web)/|^cloudflare:', partsMeetInShared],
  ['workers/gateway/restorations/', '^cloudflare:', 'restorations/ decides: no runtime'],
  ...gatewayRooms.flatMap((room, place) => [
    [
      `workers/gateway/${room}/`,
      `/(${gatewayRooms.slice(0, place).join('|') || '(?!)'})/`,
      'arrows run one way: see gatewayRooms',
    ],
    ...(room === 'http' ? [] : [[`workers/gateway/${room}/`, '^hono(/|$)', 'only http/ knows the framework']]),
    ...(room === 'runners'
      ? []
      : [[`workers/gateway/${room}/`, '^replicate$', "only runners/ knows the runner's client"]]),
  ]),
  ['workers/gateway/http/body/', '/(middleware|routes|openapi)/', 'http/body/ reads requests and knows no route'],
  ['workers/gateway/http/middleware/', '/(routes|openapi)/', 'routes come after the middleware'],
  ...roomsOf('gpu-runner/', {
    ops: [],
    threads: ['ops'],
    transfers: ['ops'],
    models: ['transfers', 'ops'],
    sessions: ['models', 'threads', 'ops'],
    pictures: ['sessions', 'models', 'threads', 'transfers', 'ops'],
    predictions: ['pictures', 'sessions', 'models', 'threads', 'transfers', 'ops'],
    http: ['predictions', 'transfers', 'ops'],
    peers: ['http', 'predictions', 'threads', 'ops'],
  }),
  ['sdk/client/', '^(?!\\./)', 'sdk/client/ runs everywhere and stands alone: its own files, no package, no runtime'],
  [
    'sdk/webhooks/',
    '^(?!standardwebhooks$|\\./|\\.\\./client/)',
    'sdk/webhooks/ knows sdk/client/ and the official library',
  ],
  [
    'sdk/local/',
    '/(cli|edge-runner|gateway|web)/',
    'sdk/local/ is the pixel path of shared/ with the codecs of gpu-runner/',
  ],
  ['sdk/cli/', '/(shared|gpu-runner|workers)/', 'sdk/cli/ knows sdk/client/ and sdk/local/'],
  ...['shared/', 'workers/', 'gpu-runner/', 'sdk/'].map((path) => [path, '(^|/)tests/', 'nothing imports tests/']),
];

/** A foreign library that fails in its own ways is imported by one adapter, so that its failures are wrapped in one place. */
const adapters = [
  [
    '^onnxruntime-',
    ['workers/web/device/ort-session.ts', 'gpu-runner/sessions/session-worker.ts', 'sdk/local/model.ts'],
  ],
  ['^wabt$', ['scripts/kernels/module.ts']],
  ['^sharp$', ['gpu-runner/pictures/sharp-codec.ts']],
  ['^libheif-js', ['gpu-runner/pictures/heif-codec.ts']],
  ['^(@jsquash|@cf-wasm)/', ['workers/edge-runner/wasm-codec.ts']],
];

/** ESLint replaces a rule's options from block to block instead of adding them: so each path gets its whole list. */
function importsForbiddenIn(path) {
  const inherited = arrows.filter(([zone]) => path.startsWith(zone));
  const foreign = adapters.filter(([, files]) => !files.includes(path));
  const patterns = [
    ...inherited.map(([, regex, message]) => ({ regex, message })),
    ...foreign.map(([regex, files]) => ({ regex, message: `only ${files.join(', ')} may import it` })),
  ];
  return { 'no-restricted-imports': ['error', { patterns }] };
}

const zones = [...new Set(arrows.map(([zone]) => zone))].sort((a, b) => a.length - b.length);

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/.venv/**',
      '**/.wrangler/**',
      '**/worker-configuration.d.ts',
      'model-export/**',
      '.deblur/**',
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    rules: {
      // Every pixel loop indexes typed arrays within bounds that it has just computed.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always'],
      // TypeScript checks names, with the right globals for each runtime.
      'no-undef': 'off',
    },
  },
  ...zones.map((zone) => ({ files: [`${zone}**/*.ts`, `${zone}**/*.tsx`], rules: importsForbiddenIn(zone) })),
  ...adapters.flatMap(([, files]) => files.map((file) => ({ files: [file], rules: importsForbiddenIn(file) }))),
);
