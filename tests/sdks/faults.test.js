// A fault of each kind against the official JavaScript SDK with its retry handler, over TLS: the requests that it
// sends, and the stored contacts.
import { Client } from '@microsoft/microsoft-graph-client'
import { expect, test } from 'contactd/vitest'

// Timeout for a stalled connection, in milliseconds.
const PATIENCE = 2_000

const again = { status: 429, retryAfter: 1 }
const lost = { when: 'after', answer: { status: 504, retryAfter: 1 } }
// The fault, the status of the SDK's error (-1: no answer), the statuses in the journal, and the number of stored contacts.
const FAULTS = {
  'a throttle is waited for': [{ answer: again }, null, [429, 201], 1],
  'a sequence': [{ answers: [{ status: 503, retryAfter: 1 }, again] }, null, [503, 429, 201], 1],
  'a throttle without end': [{ times: null, answer: again }, 429, [429, 429, 429, 429], 0],
  'a fault of the server is no throttle': [{ answer: { status: 500 } }, 500, [500], 0],
  'a conflict': [{ answer: { status: 409 } }, 409, [409], 0],
  'a lost answer': [lost, null, [504, 201], 2],
  'a lost answer to a create with a key': [lost, null, [504, 201], 1],
  'a delay': [{ delay: 'PT0.2S' }, null, [201], 1],
  'a reset before': [{ connection: 'reset' }, -1, [503], 0],
  'a reset after': [{ when: 'after', connection: 'reset' }, -1, [201], 1],
  'a close before': [{ connection: 'close' }, -1, [503], 0],
  'a close after': [{ when: 'after', connection: 'close' }, -1, [201], 1],
  'a cut': [{ when: 'after', connection: { truncate: { bytes: 20 } } }, 201, [201], 1],
  'a stall': [{ when: 'after', connection: 'stall' }, 201, [201], 1],
  'a quota': [{ throttle: { requests: 0, per: 'PT2S' }, times: 1 }, null, [429, 201], 1],
}

const client = (user) =>
  Client.initWithMiddleware({
    authProvider: { getAccessToken: async () => user.token },
    baseUrl: user.url,
    customHosts: new Set(['127.0.0.1']),
  })

test.concurrent.for(Object.entries(FAULTS))('%s', { timeout: 60_000 }, async ([kind, [fault, expected, statuses, stored]], { contactd }) => {
  const match = { method: 'POST', path: '/me/contacts' }
  await contactd.fault({ ...fault, match })
  let create = client(contactd).api('/me/contacts')
  if (kind.includes('key')) create = create.header('Idempotency-Key', 'one')
  if (kind.includes('stall')) create = create.options({ signal: AbortSignal.timeout(PATIENCE) })
  const error = await create.post({ givenName: 'Ann' }).then(
    () => null,
    (raised) => raised.statusCode ?? -1
  )
  await contactd.clearFaults()
  const found = (await contactd.requests(match)).map((request) => request.status)
  const count = (await client(contactd).api('/me/contacts').get()).value.length
  expect([error, found, count]).toEqual([expected, statuses, stored])
})

test('a delta link that expires starts over', async ({ contactd }) => {
  const api = (path) => client(contactd).api(path)
  await api('/me/contacts').post({ givenName: 'Ann' })
  const link = (await api('/me/contacts/delta').get())['@odata.deltaLink']
  await contactd.fault({ deltaToken: 'expired' })
  await expect(api(link).get()).rejects.toMatchObject({ statusCode: 410, code: 'SyncStateNotFound' })
  expect((await api('/me/contacts/delta').get()).value).toHaveLength(1)
  expect((await contactd.requests({ method: 'GET' })).map((request) => request.status)).toEqual([200, 410, 200])
})
