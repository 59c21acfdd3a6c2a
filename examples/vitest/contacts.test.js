// Tests of a program that uses contacts through the official SDK. The program is one or two lines in each test.
//
//     npm install --save-dev contactd vitest @microsoft/microsoft-graph-client @azure/identity && npx vitest run
import { fileURLToPath } from 'node:url'
import { ClientSecretCredential } from '@azure/identity'
import { Client } from '@microsoft/microsoft-graph-client'
import { TokenCredentialAuthenticationProvider } from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js'
import { expect, test } from 'contactd/vitest'

const contact = { givenName: 'Ann' }
const hosts = new Set(['127.0.0.1'])
const client = (user, authProvider = { getAccessToken: async () => user.token }) =>
  Client.initWithMiddleware({ authProvider, baseUrl: user.url, customHosts: hosts })
const names = async (user) => (await client(user).api('/me/contacts').get()).value.map((contact) => contact.givenName)
const statuses = async (user) => (await user.requests({ method: 'POST' })).map((request) => request.status)

test('each test has a separate mailbox', async ({ contactd }) => {
  expect(await names(contactd)).toEqual([])
  await client(contactd).api('/me/contacts').post(contact)
  expect(await names(contactd)).toEqual(['Ann'])
})

test('another test does not see its contact', async ({ contactd }) => {
  expect(await names(contactd)).toEqual([])
})

test('the SDK waits and repeats a throttled request', async ({ contactd }) => {
  await contactd.fault({ match: { method: 'POST' }, answer: { status: 429, retryAfter: 1 } })
  await client(contactd).api('/me/contacts').post(contact)
  expect(await statuses(contactd)).toEqual([429, 201])
})

test('a lost response leads to a second contact, unless the create has a key', async ({ contactd }) => {
  const create = async (headers) => {
    await contactd.fault({ match: { method: 'POST' }, when: 'after', answer: { status: 504, retryAfter: 1 } })
    // The SDK sends the request again by itself.
    await client(contactd).api('/me/contacts').headers(headers).post(contact)
    return (await names(contactd)).length
  }
  expect(await create({})).toBe(2)
  expect(await create({ 'Idempotency-Key': 'one' })).toBe(3)
  expect(await statuses(contactd)).toEqual([504, 201, 504, 201])
})

test('a subscription is notified of a contact', async ({ contactd }) => {
  const inbox = await contactd.server.inbox(contactd.name)
  const expirationDateTime = new Date(Date.now() + 3_600_000).toISOString()
  const subscription = { changeType: 'created', notificationUrl: inbox.url, resource: 'me/contacts', expirationDateTime }
  await client(contactd).api('/subscriptions').post(subscription)
  const created = await client(contactd).api('/me/contacts').post(contact)
  const [post] = await inbox.posts()
  expect(post.body.value[0].resourceData.id).toBe(created.id)
})

test('the trash is purged after thirty days', async ({ contactdClock: user }) => {
  const created = await client(user).api('/me/contacts').post(contact)
  expect(created.createdDateTime).toBe('2026-01-01T00:00:00Z')
  await client(user).api(`/me/contacts/${created.id}`).delete()
  expect((await user.server.advance('P31D')).done.purged).toBe(1)
})

test('the same requests get the same responses', async ({ contactdClock: user }) => {
  await client(user).api('/me/contacts').post(contact)
  expect(await names(user)).toEqual(['Ann'])
  await user.assertGolden(fileURLToPath(new URL('golden.json', import.meta.url)))
})

test('an application signs in with a secret', async ({ contactd }) => {
  const options = { authorityHost: contactd.url, disableInstanceDiscovery: true }
  const credential = new ClientSecretCredential('tenant.example', 'sync', 'any secret', options)
  const authProvider = new TokenCredentialAuthenticationProvider(credential, { scopes: ['https://graph.microsoft.com/.default'] })
  const contacts = client(contactd, authProvider).api(`/users/${contactd.name}/contacts`)
  await contacts.post(contact)
  expect((await contacts.get()).value).toHaveLength(1)
  expect(new Set((await contactd.requests()).map((request) => request.token))).toEqual(new Set(['app:sync']))
})
