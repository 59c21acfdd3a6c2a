// Seeds: documents for several users, and made-up contacts, which are the same everywhere.
import { expect, test } from 'contactd/vitest'

const contacts = async (user) => (await (await user.call('GET', '/me/contacts?$top=999')).json()).value
const ids = (list) => list.map((contact) => contact.id)

// What the contacts say, without what each mailbox has of its own.
const ofMailbox = ['id', 'changeKey', 'createdDateTime', 'lastModifiedDateTime', 'parentFolderId', '@odata.etag']
const said = async (user) =>
  (await contacts(user)).map((contact) => Object.fromEntries(Object.entries(contact).filter(([name]) => !ofMailbox.includes(name))))

const users = (user, count) => Array.from({ length: count }, (_, n) => user.server.user(`${user.name.slice(0, 50)}.${n}`))

test('a document fills mailboxes, and its ids are answered', async ({ contactd }) => {
  const [other] = users(contactd, 1)
  const folders = [{ displayName: 'Friends', contacts: [{ givenName: 'Cy' }] }]
  const [first, second] = await contactd.server.seed({
    users: [
      { id: contactd.name, contacts: [{ givenName: 'Ann' }, { givenName: 'Bea' }], folders },
      { id: other.name, contacts: [{ givenName: 'Di' }] },
    ],
  })
  expect([first.id, second.id]).toEqual([contactd.name, other.name])
  expect(ids((await contacts(contactd)).filter((contact) => contact.givenName !== 'Cy'))).toEqual(first.contacts)
  const [folder] = first.folders
  const inside = (await (await contactd.call('GET', `/me/contactFolders/${folder.id}/contacts`)).json()).value
  expect([ids(inside), inside[0].givenName]).toEqual([folder.contacts, 'Cy'])
  expect((await contacts(other)).map((contact) => contact.givenName)).toEqual(['Di'])
  const wrong = contactd.server.seed({ users: [{ id: contactd.name, contacts: [{ givenNam: 'x' }] }] })
  await expect(wrong).rejects.toThrow(/^POST \/seed: 400 .*givenNam/s)
})

test('made-up contacts are the same for the same numbers', async ({ contactd }) => {
  const [one, same, other, more] = users(contactd, 4)
  const options = { seed: 42, locale: 'ja,ar', duplicates: false }
  const made = await one.seed(20, options)
  expect(new Set(made).size).toBe(20)
  expect(ids(await contacts(one))).toEqual(made)
  await same.seed(20, options)
  await other.seed(20, { ...options, seed: 43 })
  await more.seed(30, { ...options, photos: 1 })
  expect(await said(same)).toEqual(await said(one))
  expect(await said(other)).not.toEqual(await said(one))
  // A greater count keeps the first ones.
  expect((await said(more)).slice(0, 20)).toEqual(await said(one))
  const photo = async (user) => (await user.call('GET', `/me/contacts/${(await contacts(user))[0].id}/photo/$value`)).status
  expect([await photo(one), await photo(more)]).toEqual([404, 200])
})
