import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point Maven, Gradle and sbt at a repository, and for a hosted one those that deploy to it. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { name, kind } = repository;
  const server = `
  <servers>
    <server><id>${name}</id><username>USER</username><password>PASSWORD</password></server>
  </servers>`;
  const mirror = `
  <mirrors>
    <mirror><id>${name}</id><mirrorOf>*</mirrorOf><url>${baseUrl}</url></mirror>
  </mirrors>`;
  const profile = `
  <profiles>
    <profile>
      <id>${name}</id>
      <repositories>
        <repository><id>${name}</id><url>${baseUrl}</url></repository>
      </repositories>
    </profile>
  </profiles>
  <activeProfiles><activeProfile>${name}</activeProfile></activeProfiles>`;
  const settings = `<settings>${guarded ? server : ''}${kind === 'proxy' ? mirror : profile}\n</settings>`;
  const insecure = baseUrl.startsWith('http:') ? '\n    allowInsecureProtocol = true' : '';
  const credentials = guarded ? '\n    credentials { username = "USER"; password = "PASSWORD" }' : '';
  const gradle = `repositories {
  maven {
    url = uri("${baseUrl}")${insecure}${credentials}
  }
}`;
  const read: ClientSetup[] = [
    { client: 'Maven', steps: [{ kind: 'file', path: '~/.m2/settings.xml', text: settings, needsKey: guarded }] },
    { client: 'Gradle', steps: [{ kind: 'file', path: 'build.gradle.kts', text: gradle, needsKey: guarded }] },
    {
      client: 'sbt',
      steps: [{ kind: 'file', path: 'build.sbt', text: `resolvers += "${name}" at "${baseUrl}"` }],
    },
  ];
  if (kind === 'proxy') return read;
  const deploy = `mvn deploy -DaltDeploymentRepository=${name}::default::${baseUrl}`;
  return [...read, { client: 'Maven (deploy)', steps: [{ kind: 'command', text: deploy }] }];
}
