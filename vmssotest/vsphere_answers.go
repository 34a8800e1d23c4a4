package vmssotest

// What the endpoint answers, as a vCenter 8.0 U3 does in form.
const (
	envelopeStart = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"` +
		` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>`
	envelopeEnd = `</soapenv:Body></soapenv:Envelope>`

	serviceVersions = `<?xml version="1.0" encoding="UTF-8"?>
<namespaces version="1.0">
 <namespace>
  <name>urn:vim25</name>
  <version>8.0.3.0</version>
  <priorVersions>
   <version>8.0.2.0</version>
   <version>7.0.3.2</version>
  </priorVersions>
 </namespace>
</namespaces>
`

	serviceContent = `<RetrieveServiceContentResponse xmlns="urn:vim25"><returnval>` +
		`<rootFolder type="Folder">group-d1</rootFolder><propertyCollector type="PropertyCollector">propertyCollector</propertyCollector>` +
		`<viewManager type="ViewManager">ViewManager</viewManager>` +
		`<about><name>VMware vCenter Server</name><fullName>VMware vCenter Server 8.0.3 build-24022515</fullName><vendor>VMware, Inc.</vendor>` +
		`<version>8.0.3</version><build>24022515</build><localeVersion>INTL</localeVersion><localeBuild>000</localeBuild><osType>linux-x64</osType>` +
		`<productLineId>vpx</productLineId><apiType>VirtualCenter</apiType><apiVersion>8.0.3.0</apiVersion>` +
		`<instanceUuid>dbed6e0c-bd88-4ef6-b594-21283e1c677f</instanceUuid><licenseProductName>VMware VirtualCenter Server</licenseProductName>` +
		`<licenseProductVersion>8.0</licenseProductVersion></about>` +
		`<setting type="OptionManager">VpxSettings</setting><sessionManager type="SessionManager">SessionManager</sessionManager>` +
		`</returnval></RetrieveServiceContentResponse>`

	notAuthenticatedFault = `<NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated">` +
		`<object type="Folder">group-d1</object><privilegeId>System.View</privilegeId></NotAuthenticatedFault>`

	// missingSet is the 200 that says "not authenticated", byte for byte what the simulator of govmomi v0.56.0 writes, its odd prefix included.
	missingSet = `<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><objects><obj type="Folder">group-d1</obj><missingSet><path>name</path>` +
		`<fault><fault xmlns:_XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance" _XMLSchema-instance:type="NotAuthenticated">` +
		`<object type="Folder">group-d1</object><privilegeId>System.Read</privilegeId></fault></fault></missingSet></objects>` +
		`</returnval></RetrievePropertiesExResponse>`

	properties = `<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval>` +
		`<objects><obj type="VirtualMachine">vm-1</obj><propSet><name>name</name><val xsi:type="xsd:string">web01</val></propSet></objects>` +
		`<objects><obj type="VirtualMachine">vm-2</obj><propSet><name>name</name><val xsi:type="xsd:string">web02</val></propSet></objects>` +
		`<objects><obj type="VirtualMachine">vm-3</obj><propSet><name>name</name><val xsi:type="xsd:string">db01</val></propSet></objects>` +
		`</returnval></RetrievePropertiesExResponse>`
)
